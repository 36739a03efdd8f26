package main

import (
	"fmt"
	"net"

	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
)

// receiveBuffer holds half a second of one viewer's stream, so that a burst which this client
// is too slow for is late and not lost. The kernel may grant less (net.core.rmem_max).
const receiveBuffer = 1 << 20

// roomyNet is the standard network with long receive buffers.
type roomyNet struct {
	*stdnet.Net
}

func newRoomyNet() (roomyNet, error) {
	standard, err := stdnet.NewNet()
	return roomyNet{standard}, err
}

// ListenUDP opens a socket with a long receive buffer.
func (n roomyNet) ListenUDP(network string, address *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := n.Net.ListenUDP(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if err := conn.SetReadBuffer(receiveBuffer); err != nil {
		return nil, fmt.Errorf("receive buffer of %s: %w", address, err)
	}
	return conn, nil
}
