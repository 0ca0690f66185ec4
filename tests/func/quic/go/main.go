// SPDX-License-Identifier: BSD-3-Clause

// A QUIC client made of quic-go for the relay tests; ../README.md says what every peer here does
// and prints. With --listen it is the server that they are tried against: server.go.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

const tooLong = 65000 // no datagram is so long

type fields map[string]any

var out = json.NewEncoder(os.Stdout)
var outLock sync.Mutex

func say(event string, f fields) {
	outLock.Lock()
	defer outLock.Unlock()
	if f == nil {
		f = fields{}
	}
	f["event"] = event
	_ = out.Encode(f)
}

func fatal(err error) {
	say("error", fields{"what": err.Error()})
	os.Exit(2)
}

// keyUpdates counts a connection's, whoever began them, from what quic-go would write to its log.
type keyUpdates struct{ nb atomic.Int64 }

func (k *keyUpdates) AddProducer() qlogwriter.Recorder { return k }
func (k *keyUpdates) SupportsSchemas(string) bool      { return false }
func (k *keyUpdates) Close() error                     { return nil }
func (k *keyUpdates) RecordEvent(event qlogwriter.Event) {
	// Both directions are told.
	if e, ok := event.(qlog.KeyUpdated); ok && e.Trigger != qlog.KeyUpdateTLS &&
		e.KeyType == qlog.KeyTypeClient1RTT {
		k.nb.Add(1)
	}
}

// payload makes datagram n of a sender; every byte follows from both.
func payload(sender uint32, n uint64, size int) []byte {
	p := make([]byte, size)
	binary.BigEndian.PutUint64(p, n)
	binary.BigEndian.PutUint32(p[8:], sender)
	for i := 12; i < size; i++ {
		p[i] = byte(n + uint64(sender) + uint64(i))
	}
	return p
}

func maxDatagram(conn *quic.Conn) int64 {
	var e *quic.DatagramTooLargeError
	if errors.As(conn.SendDatagram(make([]byte, tooLong)), &e) {
		return e.MaxDatagramPayloadSize
	}
	return 0
}

// closed says why a connection ended, and what f has to say.
func closed(err error, f fields) {
	var application *quic.ApplicationError
	var transport *quic.TransportError
	f["application"] = false
	f["by"], f["code"], f["reason"] = "local", uint64(0), err.Error()
	remote := false
	switch {
	case errors.As(err, &application):
		f["application"], remote = true, application.Remote
		f["code"], f["reason"] = uint64(application.ErrorCode), application.ErrorMessage
	case errors.As(err, &transport):
		remote = transport.Remote
		f["code"], f["reason"] = uint64(transport.ErrorCode), transport.ErrorMessage
	case errors.Is(err, &quic.IdleTimeoutError{}):
		f["by"] = "timeout"
	case errors.Is(err, &quic.StatelessResetError{}):
		f["by"] = "reset"
	}
	if remote {
		f["by"] = "peer"
	}
	say("closed", f)
}

type peer struct {
	conn     *quic.Conn
	local    net.IP
	sender   uint32
	count    bool
	sent     int
	flooded  uint64
	updates  *keyUpdates
	lock     sync.Mutex
	received [][]byte
}

func bind(local net.IP) (*quic.Transport, error) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: local})
	if err != nil {
		return nil, err
	}
	return &quic.Transport{Conn: udp}, nil
}

func (p *peer) receive() {
	for {
		data, err := p.conn.ReceiveDatagram(context.Background())
		if err != nil {
			return
		}
		p.lock.Lock()
		p.received = append(p.received, data)
		p.lock.Unlock()
		if !p.count {
			say("datagram", fields{"hex": hex.EncodeToString(data)})
		}
	}
}

func (p *peer) accept() {
	for {
		stream, err := p.conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		go readStream(stream)
	}
}

func readStream(stream *quic.Stream) {
	buf := make([]byte, 4096)
	for {
		n, err := stream.Read(buf)
		if n > 0 || err == io.EOF {
			say("stream", fields{"id": int64(stream.StreamID()),
				"hex": hex.EncodeToString(buf[:n]), "fin": err == io.EOF})
		}
		if err != nil {
			return
		}
	}
}

func (p *peer) flood(nb uint64, size int, pps int) error {
	due := time.Now()
	for range nb {
		if err := p.conn.SendDatagram(payload(p.sender, p.flooded, size)); err != nil {
			return err
		}
		p.sent++
		p.flooded++
		due = due.Add(time.Second / time.Duration(pps))
		time.Sleep(time.Until(due))
	}
	return nil
}

// migrate goes on from a new port, once the path from there is known to work.
func (p *peer) migrate() error {
	transport, err := bind(p.local)
	if err != nil {
		return err
	}
	path, err := p.conn.AddPath(transport)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err = path.Probe(ctx); err != nil {
		return err
	}
	return path.Switch()
}

func (p *peer) stream(data []byte) error {
	stream, err := p.conn.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	go readStream(stream)
	if _, err = stream.Write(data); err != nil {
		return err
	}
	return stream.Close()
}

func (p *peer) stats() {
	p.lock.Lock()
	sorted := slices.Clone(p.received)
	p.lock.Unlock()
	slices.SortFunc(sorted, slices.Compare[[]byte])
	sum := sha256.New()
	for _, data := range sorted {
		sum.Write(data)
	}
	say("stats", fields{"sent": p.sent, "received": len(sorted),
		"sha256": hex.EncodeToString(sum.Sum(nil)), "key_updates": p.updates.nb.Load(),
		"max_datagram": maxDatagram(p.conn),
		"rtt_us":       p.conn.ConnectionStats().SmoothedRTT.Microseconds()})
}

// obey carries out one line of input.
func (p *peer) obey(words []string) {
	var err error
	f := fields{"command": words[0]}
	number := func(i int) (n uint64) {
		if i >= len(words) {
			err = errors.New("a number is missing")
		} else if err == nil {
			n, err = strconv.ParseUint(words[i], 0, 62)
		}
		return n
	}
	var data []byte
	if (words[0] == "send" || words[0] == "stream") && len(words) > 1 {
		data, err = hex.DecodeString(words[1])
	}
	switch words[0] {
	case "send":
		if err == nil {
			err = p.conn.SendDatagram(data)
			p.sent++
		}
	case "flood":
		nb, size, pps := number(1), number(2), number(3)
		if err == nil {
			err = p.flood(nb, int(size), int(pps))
		}
	case "migrate":
		err = p.migrate()
	case "stream":
		if err == nil {
			err = p.stream(data)
		}
	case "stats":
		p.stats()
	case "close":
		code := number(1)
		if err == nil {
			err = p.conn.CloseWithError(quic.ApplicationErrorCode(code),
				strings.Join(words[2:], " "))
		}
	default: // quic-go updates its keys by itself, after 100 packets
		say("unsupported", f)
		return
	}
	if err != nil {
		f["what"] = err.Error()
		say("error", f)
		return
	}
	say("done", f)
}

func input(obey func([]string)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 0 {
			obey(words)
		}
	}
}

func config() *quic.Config {
	return &quic.Config{EnableDatagrams: true, MaxIdleTimeout: 30 * time.Second,
		KeepAlivePeriod: 10 * time.Second}
}

func (p *peer) run(to *net.UDPAddr, name, alpn string) {
	transport, err := bind(p.local)
	if err != nil {
		fatal(err)
	}
	conf := config()
	conf.Tracer = func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return p.updates }
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p.conn, err = transport.Dial(ctx, to, &tls.Config{ServerName: name, NextProtos: []string{alpn},
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, conf)
	if err != nil {
		closed(err, fields{})
		return
	}
	state := p.conn.ConnectionState()
	say("connected", fields{"alpn": state.TLS.NegotiatedProtocol,
		"cipher": tls.CipherSuiteName(state.TLS.CipherSuite), "max_datagram": maxDatagram(p.conn),
		"signature": state.TLS.PeerCertificates[0].PublicKeyAlgorithm.String(),
		"version":   fmt.Sprintf("%#x", uint32(state.Version))})
	go p.receive()
	go p.accept()
	go input(p.obey)
	<-p.conn.Context().Done()
	closed(context.Cause(p.conn.Context()), fields{})
	time.Sleep(100 * time.Millisecond) // the CONNECTION_CLOSE leaves, the last command is answered
}

func main() {
	to := flag.String("connect", "", "ADDR:PORT, [ADDR]:PORT")
	listen := flag.String("listen", "", "be the server, at ADDR:PORT")
	certificate := flag.String("certificate", "ed25519", "of the server: ed25519 or p256")
	retry := flag.Bool("retry", false, "the server asks for a token")
	name := flag.String("name", "", "server name to ask for")
	alpn := flag.String("alpn", "wzp", "application protocol")
	local := flag.String("local", "", "own address")
	sender := flag.Uint("sender", 0, "number that marks own floods")
	version := flag.String("version", "", "quic-go offers what it knows")
	signature := flag.String("signature", "", "quic-go accepts what it knows")
	_ = flag.Bool("big-hello", true, "Go's key shares take two packets by themselves")
	count := flag.Bool("count", false, "do not print every datagram")
	flag.Parse()

	if *listen != "" {
		serve(*listen, *certificate, *retry)
		return
	}
	if *version != "" || *signature != "" {
		say("unsupported", fields{"command": "--version, --signature"})
		return
	}
	address, err := net.ResolveUDPAddr("udp", *to)
	if err != nil {
		fatal(err)
	}
	p := &peer{local: net.ParseIP(*local), sender: uint32(*sender), count: *count,
		updates: &keyUpdates{}}
	p.run(address, *name, *alpn)
}
