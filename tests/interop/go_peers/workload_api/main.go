// A SPIFFE Workload API for tests, on gRPC for Go and the published protocol of go-spiffe.
//
// Does: serves FetchX509SVID on a Unix socket: what stands in a folder (svid.der, key.der,
// bundle.der, all DER, chains concatenated; id as text), and again each time "next" is read from
// standard input. Refuses calls without the security header (SPIFFE Workload Endpoint, section 6),
// and everybody while there is no file id.
//
// usage: workload_api SOCKET FOLDER
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type server struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	folder string
	mutex  sync.Mutex
	turned chan struct{} // closed when there is something new
}

func (s *server) read(name string) []byte {
	content, err := os.ReadFile(filepath.Join(s.folder, name))
	if err != nil {
		return nil
	}
	return content
}

func (s *server) next() <-chan struct{} {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.turned
}

func (s *server) turn() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	close(s.turned)
	s.turned = make(chan struct{})
}

func (s *server) FetchX509SVID(
	_ *workload.X509SVIDRequest,
	stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer,
) error {
	headers, _ := metadata.FromIncomingContext(stream.Context())
	if said := headers.Get("workload.spiffe.io"); len(said) != 1 || said[0] != "true" {
		return status.Error(codes.InvalidArgument, "the security header is missing")
	}
	for {
		next := s.next()
		id := strings.TrimSpace(string(s.read("id")))
		if id == "" {
			return status.Error(codes.PermissionDenied, "no identity issued")
		}
		answer := &workload.X509SVIDResponse{Svids: []*workload.X509SVID{{
			SpiffeId:    id,
			X509Svid:    s.read("svid.der"),
			X509SvidKey: s.read("key.der"),
			Bundle:      s.read("bundle.der"),
		}}}
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case <-next:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	own := &server{folder: os.Args[2], turned: make(chan struct{})}
	served := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(served, own)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			own.turn()
		}
		os.Exit(0) // whoever started it has gone
	}()
	fmt.Println("ready")
	log.Fatal(served.Serve(listener))
}
