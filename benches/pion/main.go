// Pion's side of the SRTP benchmark: protects or opens packets in a loop of Go and prints one JSON
// object.
//
// usage: pion PROFILE-ID protect|unprotect LENGTH WINDOW SECONDS
package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"golang.org/x/sys/unix"
)

const (
	ring   = 256
	room   = 2048
	header = 12
	ssrc   = 0x5ea1ca57
)

// context has the same key on every side of the benchmark: 0, 1, 2, … and a salt of 100, 101, …
func context(profile srtp.ProtectionProfile, window uint) *srtp.Context {
	keyLen, err := profile.KeyLen()
	check(err)
	saltLen, err := profile.SaltLen()
	check(err)
	key, salt := make([]byte, keyLen), make([]byte, saltLen)
	for i := range key {
		key[i] = byte(i)
	}
	for i := range salt {
		salt[i] = byte(100 + i)
	}
	made, err := srtp.CreateContext(key, salt, profile, srtp.SRTPReplayProtection(window))
	check(err)
	return made
}

// cpuSeconds is user and system time of the whole process, the garbage collector's included.
func cpuSeconds() float64 {
	var used unix.Timespec
	check(unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used))
	return float64(used.Sec) + float64(used.Nsec)/1e9
}

func layOut(packets [][]byte, length int, sequence uint16) {
	for i := range packets {
		packet := packets[i][:length]
		clear(packet[:header])
		packet[0], packet[1] = 0x80, 96
		binary.BigEndian.PutUint16(packet[2:], sequence+uint16(i))
		binary.BigEndian.PutUint32(packet[8:], ssrc)
		for at := header; at < length; at++ {
			packet[at] = byte(at)
		}
		packets[i] = packet
	}
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: pion PROFILE-ID protect|unprotect LENGTH WINDOW SECONDS")
	}
	id, err := strconv.ParseUint(os.Args[1], 10, 16)
	check(err)
	unprotect := os.Args[2] == "unprotect"
	length, err := strconv.Atoi(os.Args[3])
	check(err)
	window, err := strconv.ParseUint(os.Args[4], 10, 32)
	check(err)
	atLeast, err := strconv.ParseFloat(os.Args[5], 64)
	check(err)

	profile := srtp.ProtectionProfile(id)
	sender, receiver := context(profile, uint(window)), context(profile, uint(window))
	plain, protected, opened := packets(), packets(), packets()
	var (
		parsed   rtp.Header
		done     int
		seconds  float64
		tail     string
		sequence = uint16(1)
	)
	for seconds < atLeast {
		layOut(plain, length, sequence)
		sequence += ring
		start := cpuSeconds()
		for i, packet := range plain {
			protected[i], err = sender.EncryptRTP(protected[i][:0], packet, &parsed)
			check(err)
		}
		if done == 0 {
			tail = hex.EncodeToString(protected[0][len(protected[0])-16:])
		}
		if unprotect {
			start = cpuSeconds()
			for i, packet := range protected {
				opened[i], err = receiver.DecryptRTP(opened[i][:0], packet, &parsed)
				check(err)
			}
		}
		seconds += cpuSeconds() - start
		done += ring
	}
	fmt.Printf("{\"packets\": %d, \"cpu_seconds\": %.6f, \"first_tail\": \"%s\"}\n", done, seconds, tail)
}

func packets() [][]byte {
	made := make([][]byte, ring)
	for i := range made {
		made[i] = make([]byte, 0, room)
	}
	return made
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
