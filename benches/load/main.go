// Command load is the foreign load client of the forwarding benchmark: it publishes one synthetic
// H264 stream and takes it as many viewers, with Pion's stack, from sealcast (WHIP, WHEP) or from
// Janus (RTP in, the streaming plugin out).
//
// It counts what the viewers received and prints one JSON object; the server's processor time is
// measured outside, by the caller, between the two lines "measuring" and the result.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

type viewers struct {
	packets, bytes atomic.Uint64
	live           atomic.Int64
}

// take counts the packets of every video track that pc receives, and asks for a key frame once.
func (v *viewers) take(pc *webrtc.PeerConnection) {
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		v.live.Add(1)
		_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
		buffer := make([]byte, 1600)
		for {
			n, _, err := track.Read(buffer)
			if err != nil {
				return
			}
			v.packets.Add(1)
			v.bytes.Add(uint64(n))
		}
	})
}

func newAPI() (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}
	err := media.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
			SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
			RTCPFeedback: feedback,
		},
		PayloadType: 102,
	}, webrtc.RTPCodecTypeVideo)
	if err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		return nil, err
	}
	network, err := newRoomyNet()
	if err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	settings.SetNet(network)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(settings)), nil
}

func httpClient(ca string) (*http.Client, error) {
	roots := x509.NewCertPool()
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate in " + ca)
		}
	}
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}, nil
}

func run() error {
	kind := flag.String("kind", "whep", "whep (sealcast) or janus")
	url := flag.String("url", "", "WHEP address, or Janus's HTTP address")
	publishURL := flag.String("publish", "", "WHIP address; for janus: host:port of the mountpoint's RTP")
	publishToken := flag.String("publish-token", "", "bearer token for WHIP")
	ca := flag.String("ca", "", "PEM file with the authority of the server's certificate")
	count := flag.Int("viewers", 50, "how many viewers")
	seconds := flag.Int("seconds", 15, "how long to measure")
	mbit := flag.Float64("mbit", 4, "video bitrate, Mbit/s")
	flag.Parse()

	client, err := httpClient(*ca)
	if err != nil {
		return err
	}
	api, err := newAPI()
	if err != nil {
		return err
	}
	var send func([]byte, bool) error
	var join func(*viewers) error
	switch *kind {
	case "whep":
		send, err = publishWHIP(api, client, *publishURL, *publishToken)
		join = func(v *viewers) error { return joinWHEP(api, client, *url, v) }
	case "janus":
		send, err = publishRTP(*publishURL)
		join = func(v *viewers) error { return joinJanus(api, *url, v) }
	default:
		err = fmt.Errorf("no kind of server is named %q", *kind)
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	sent := &atomic.Uint64{}
	go synthesise(*mbit*1e6, sent, send)

	v := &viewers{}
	time.Sleep(time.Second)
	for i := 0; i < *count; i++ {
		if err := join(v); err != nil {
			return fmt.Errorf("viewer %d: %w", i, err)
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for v.live.Load() < int64(*count) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d viewers have a picture after 30 s", v.live.Load(), *count)
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // the groups of pictures that viewers start with are sent
	fmt.Println("measuring")
	start, packets, bytes, published := time.Now(), v.packets.Load(), v.bytes.Load(), sent.Load()
	time.Sleep(time.Duration(*seconds) * time.Second)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"viewers": *count, "seconds": time.Since(start).Seconds(),
		"packets": v.packets.Load() - packets, "bytes": v.bytes.Load() - bytes,
		"published": sent.Load() - published,
	})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
