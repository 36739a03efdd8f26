module sealcast/benches/pion

go 1.24.0

require (
	github.com/pion/rtp v1.10.5
	github.com/pion/srtp/v3 v3.1.0
	golang.org/x/sys v0.41.0
)

require (
	github.com/pion/logging v0.2.4 // indirect
	github.com/pion/randutil v0.1.0 // indirect
	github.com/pion/rtcp v1.2.17 // indirect
	github.com/pion/transport/v5 v5.0.1 // indirect
)
