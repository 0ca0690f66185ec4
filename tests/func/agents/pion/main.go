// SPDX-License-Identifier: BSD-3-Clause

// An ICE agent made of pion/ice for the relay tests; see ../README.md for what every agent here
// does and prints.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/pion/ice/v4"
)

const (
	headerLen  = 12
	payloadLen = 160
	gapLimit   = 400 * time.Millisecond
)

var out = json.NewEncoder(os.Stdout)
var outLock sync.Mutex

func say(event string, fields map[string]any) {
	outLock.Lock()
	defer outLock.Unlock()
	if fields == nil {
		fields = map[string]any{}
	}
	fields["event"] = event
	fields["t"] = float64(time.Now().UnixMicro()) / 1e6
	_ = out.Encode(fields)
}

// fill writes packet number n of a stream: the number is the timestamp, every byte follows from it.
func fill(buf []byte, ssrc, n uint32) {
	buf[0], buf[1] = 0x80, 96
	binary.BigEndian.PutUint16(buf[2:], uint16(n))
	binary.BigEndian.PutUint32(buf[4:], n)
	binary.BigEndian.PutUint32(buf[8:], ssrc)
	for i := headerLen; i < len(buf); i++ {
		buf[i] = byte(n + ssrc + uint32(i-headerLen))
	}
}

type tally struct {
	sync.Mutex
	seen            map[[2]uint32]bool
	received        int
	duplicates, bad int
	last            time.Time
}

func (t *tally) take(pkt []byte) {
	want := make([]byte, len(pkt))
	if len(pkt) < headerLen {
		t.bad++
		return
	}
	n, ssrc := binary.BigEndian.Uint32(pkt[4:]), binary.BigEndian.Uint32(pkt[8:])
	fill(want, ssrc, n)
	t.Lock()
	defer t.Unlock()
	now := time.Now()
	switch {
	case string(want) != string(pkt):
		t.bad++
	case t.seen[[2]uint32{ssrc, n}]:
		t.duplicates++
	default:
		t.seen[[2]uint32{ssrc, n}] = true
		t.received++
	}
	if t.last.IsZero() || now.Sub(t.last) > gapLimit {
		say("resumed", nil)
	}
	t.last = now
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "pion agent:", err)
	os.Exit(2)
}

func main() {
	relay := flag.String("relay", "", "address of the relay")
	port := flag.Int("port", 0, "UDP port of the relay")
	local := flag.String("local", "", "own address")
	ufrag := flag.String("ufrag", "", "user name fragment of the credential")
	pwd := flag.String("pwd", "", "password of the credential")
	role := flag.String("role", "controlling", "controlling or controlled, to begin with")
	ssrc := flag.Uint("ssrc", 0, "SSRC to send with; 0 sends nothing")
	rate := flag.Int("rate", 50, "packets a second to send")
	seconds := flag.Float64("seconds", 10, "how long to stay")
	_ = flag.String("nomination", "regular", "pion knows only regular nomination")
	_ = flag.String("consent", "on", "pion always asks for consent")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(),
		time.Duration(*seconds*float64(time.Second)))
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	family := ice.NetworkTypeUDP4
	if net.ParseIP(*relay).To4() == nil {
		family = ice.NetworkTypeUDP6
	}
	agent, err := ice.NewAgent(&ice.AgentConfig{
		NetworkTypes:     []ice.NetworkType{family},
		CandidateTypes:   []ice.CandidateType{ice.CandidateTypeHost},
		MulticastDNSMode: ice.MulticastDNSModeDisabled,
		IPFilter:         func(ip net.IP) bool { return ip.Equal(net.ParseIP(*local)) },
	})
	if err != nil {
		fatal(err)
	}
	gathered := make(chan struct{})
	_ = agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(gathered)
		}
	})
	_ = agent.OnConnectionStateChange(func(s ice.ConnectionState) {
		switch s {
		case ice.ConnectionStateConnected:
			say("connected", nil)
		case ice.ConnectionStateFailed:
			say("failed", nil)
			cancel()
		default:
		}
	})
	if err = agent.GatherCandidates(); err != nil {
		fatal(err)
	}
	<-gathered
	remote, err := ice.NewCandidateHost(&ice.CandidateHostConfig{
		Network: "udp", Address: *relay, Port: *port, Component: 1,
	})
	if err != nil {
		fatal(err)
	}
	if err = agent.AddRemoteCandidate(remote); err != nil {
		fatal(err)
	}

	t := &tally{seen: map[[2]uint32]bool{}}
	sent := uint32(0)
	var conn *ice.Conn
	if *role == "controlling" {
		conn, err = agent.Dial(ctx, *ufrag, *pwd)
	} else {
		conn, err = agent.Accept(ctx, *ufrag, *pwd)
	}
	if err == nil {
		go func() {
			buf := make([]byte, 2048)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				t.take(buf[:n])
			}
		}()
		pkt := make([]byte, headerLen+payloadLen)
		tick := time.NewTicker(time.Second / time.Duration(*rate))
		for ctx.Err() == nil {
			select {
			case <-tick.C:
				if *ssrc != 0 {
					fill(pkt, uint32(*ssrc), sent)
					if _, err := conn.Write(pkt); err == nil {
						sent++
					}
				}
			case <-ctx.Done():
			}
		}
	}
	t.Lock()
	say("done", map[string]any{"connected": conn != nil, "sent": sent, "received": t.received,
		"duplicates": t.duplicates, "bad": t.bad})
	t.Unlock()
	_ = agent.Close()
}
