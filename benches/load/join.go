package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"

	"github.com/pion/webrtc/v4"
)

// joinWHEP takes the stream as one viewer of sealcast.
func joinWHEP(api *webrtc.API, client *http.Client, url string, v *viewers) error {
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	v.take(pc)
	_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo,
		webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	if err != nil {
		return err
	}
	return negotiate(pc, client, url, "")
}

// janus speaks Janus's own signalling over HTTP: session, handle, messages, long poll for events.
type janus struct {
	base string
}

func (j janus) post(path string, body map[string]any) (map[string]any, error) {
	body["transaction"] = fmt.Sprintf("%08x", rand.Uint32())
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	response, err := http.Post(j.base+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return decode(response)
}

func decode(response *http.Response) (map[string]any, error) {
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("%w in %s", err, raw)
	}
	if answer["janus"] == "error" {
		return nil, fmt.Errorf("janus: %s", raw)
	}
	return answer, nil
}

func identifier(answer map[string]any) string {
	data, _ := answer["data"].(map[string]any)
	id, _ := data["id"].(float64)
	return fmt.Sprintf("/%.0f", id)
}

// joinJanus takes mountpoint 1 of the streaming plugin as one viewer.
func joinJanus(api *webrtc.API, base string, v *viewers) error {
	j := janus{base}
	session, err := j.post("", map[string]any{"janus": "create"})
	if err != nil {
		return err
	}
	path := identifier(session)
	handle, err := j.post(path, map[string]any{"janus": "attach", "plugin": "janus.plugin.streaming"})
	if err != nil {
		return err
	}
	plugin := path + identifier(handle)
	watch := map[string]any{"request": "watch", "id": 1, "offer_audio": false}
	if _, err := j.post(plugin, map[string]any{"janus": "message", "body": watch}); err != nil {
		return err
	}
	offer, err := j.awaitOffer(path)
	if err != nil {
		return err
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	v.take(pc)
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return err
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return err
	}
	<-gathered
	_, err = j.post(plugin, map[string]any{
		"janus": "message", "body": map[string]any{"request": "start"},
		"jsep": map[string]any{"type": "answer", "sdp": pc.LocalDescription().SDP},
	})
	if err != nil {
		return err
	}
	go j.keepPolling(path)
	return nil
}

func (j janus) awaitOffer(path string) (string, error) {
	for try := 0; try < 10; try++ {
		response, err := http.Get(j.base + path + "?maxev=1")
		if err != nil {
			return "", err
		}
		event, err := decode(response)
		if err != nil {
			return "", err
		}
		if jsep, ok := event["jsep"].(map[string]any); ok {
			sdp, _ := jsep["sdp"].(string)
			return sdp, nil
		}
	}
	return "", fmt.Errorf("janus sent no offer")
}

// keepPolling keeps the session alive: Janus ends one whose events nobody takes.
func (j janus) keepPolling(path string) {
	for {
		response, err := http.Get(j.base + path + "?maxev=5")
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
