package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	payloadSize = 1180
	framesPerS  = 30
	gopFrames   = 60
)

// A sequence parameter set and a picture parameter set of a baseline stream: servers that look at
// them must find them; nobody decodes what follows.
var (
	sps = []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	pps = []byte{0x68, 0xcb, 0x83, 0xcb, 0x20}
)

// synthesise sends frames of equal size at the bitrate, as FU-A fragments (RFC 6184 §5.8), a key
// frame with its parameter sets (STAP-A) every two seconds. send gets payload and marker through
// one marshalled packet.
func synthesise(bitrate float64, sent *atomic.Uint64, send func([]byte, bool) error) {
	fragments := int(bitrate / 8 / framesPerS / payloadSize)
	payload := make([]byte, payloadSize)
	rand.New(rand.NewSource(1)).Read(payload)
	ticker := time.NewTicker(time.Second / framesPerS)
	defer ticker.Stop()
	for frame := uint32(0); ; frame++ {
		<-ticker.C
		timestampAt = frame * 90000 / framesPerS
		nal := byte(0x41)
		if frame%gopFrames == 0 {
			nal = 0x65
			if send(stapA(sps, pps), false) == nil {
				sent.Add(1)
			}
		}
		for i := 0; i < fragments; i++ {
			payload[0] = nal&0xe0 | 28
			payload[1] = nal & 0x1f
			if i == 0 {
				payload[1] |= 0x80
			}
			if i == fragments-1 {
				payload[1] |= 0x40
			}
			if send(payload, i == fragments-1) == nil {
				sent.Add(1)
			}
		}
	}
}

func stapA(units ...[]byte) []byte {
	out := []byte{0x78}
	for _, unit := range units {
		out = append(out, byte(len(unit)>>8), byte(len(unit)))
		out = append(out, unit...)
	}
	return out
}

// timestampAt is the RTP timestamp of the frame being sent; only synthesise's goroutine uses it.
var timestampAt uint32

func packetizer(write func(*rtp.Packet) error) func([]byte, bool) error {
	sequence := uint16(0)
	return func(payload []byte, marker bool) error {
		sequence++
		return write(&rtp.Packet{
			Header: rtp.Header{
				Version: 2, PayloadType: 102, SequenceNumber: sequence, Timestamp: timestampAt,
				SSRC: 0x5ea1ca57, Marker: marker,
			},
			Payload: payload,
		})
	}
}

// publishRTP sends plain RTP to a Janus mountpoint.
func publishRTP(address string) (func([]byte, bool) error, error) {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return nil, err
	}
	return packetizer(func(packet *rtp.Packet) error {
		raw, err := packet.Marshal()
		if err != nil {
			return err
		}
		_, err = conn.Write(raw)
		return err
	}), nil
}

// publishWHIP publishes to sealcast as a browser would (RFC 9725).
func publishWHIP(api *webrtc.API, client *http.Client, url, token string) (func([]byte, bool) error, error) {
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	track, err := webrtc.NewTrackLocalStaticRTP(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000}, "video", "load")
	if err != nil {
		return nil, err
	}
	transceiver, err := pc.AddTransceiverFromTrack(track,
		webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, err
	}
	go drain(transceiver.Sender())
	connected := make(chan struct{})
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	if err := negotiate(pc, client, url, token); err != nil {
		return nil, err
	}
	select {
	case <-connected:
	case <-time.After(15 * time.Second):
		return nil, fmt.Errorf("not connected after 15 s")
	}
	return packetizer(track.WriteRTP), nil
}

func drain(sender *webrtc.RTPSender) {
	buffer := make([]byte, 1500)
	for {
		if _, _, err := sender.Read(buffer); err != nil {
			return
		}
	}
}

// negotiate posts pc's whole offer and applies the answer, as WHIP and WHEP do.
func negotiate(pc *webrtc.PeerConnection, client *http.Client, url, token string) error {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewBufferString(pc.LocalDescription().SDP))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/sdp")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)})
}
