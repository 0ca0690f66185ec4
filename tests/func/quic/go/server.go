// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"
)

// server does what a relay does as seen from a client: those who ask for the same name are in one
// room, and a datagram goes to the others of its room. Streams it echoes.
type server struct {
	sync.Mutex
	members []*member
}

type member struct {
	name    string
	conn    *quic.Conn
	updates *keyUpdates
	from    []string // addresses, the first one first
}

type updatesKey struct{}

func selfSigned(kind string) (tls.Certificate, error) {
	var key crypto.Signer
	var err error
	if kind == "p256" {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// note remembers where a member's packets come from.
func (m *member) note() {
	if at := m.conn.RemoteAddr().String(); len(m.from) == 0 || m.from[len(m.from)-1] != at {
		m.from = append(m.from, at)
	}
}

func (s *server) others(m *member) (found []*member) {
	s.Lock()
	defer s.Unlock()
	m.note()
	for _, o := range s.members {
		if o != m && o.name == m.name {
			found = append(found, o)
		}
	}
	return found
}

func (s *server) attend(m *member) {
	s.Lock()
	m.note()
	s.members = append(s.members, m)
	s.Unlock()
	say("joined", fields{"name": m.name, "from": m.from[0]})
	go func() {
		for {
			stream, err := m.conn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(stream, stream)
				_ = stream.Close()
			}()
		}
	}()
	var ended error
	for {
		data, err := m.conn.ReceiveDatagram(context.Background())
		if err != nil {
			ended = err
			break
		}
		for _, o := range s.others(m) {
			if err := o.conn.SendDatagram(data); err != nil {
				say("error", fields{"name": o.name, "what": err.Error()})
			}
		}
	}
	s.Lock()
	s.members = slices.DeleteFunc(s.members, func(o *member) bool { return o == m })
	s.Unlock()
	closed(ended, fields{"name": m.name})
}

// obey knows "close NAME CODE REASON" and "stats NAME".
func (s *server) obey(words []string) {
	s.Lock()
	members := slices.Clone(s.members)
	s.Unlock()
	told := []fields{}
	for _, m := range members {
		if len(words) < 2 || m.name != words[1] {
			continue
		}
		if words[0] == "close" && len(words) > 2 {
			code, _ := strconv.ParseUint(words[2], 0, 62)
			_ = m.conn.CloseWithError(quic.ApplicationErrorCode(code), strings.Join(words[3:], " "))
		} else {
			s.Lock()
			m.note()
			told = append(told, fields{"from": slices.Clone(m.from),
				"key_updates": m.updates.nb.Load()})
			s.Unlock()
		}
	}
	say("done", fields{"command": words[0], "members": told})
}

func serve(listen, kind string, retry bool) {
	address, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		fatal(err)
	}
	udp, err := net.ListenUDP("udp", address)
	if err != nil {
		fatal(err)
	}
	certificate, err := selfSigned(kind)
	if err != nil {
		fatal(err)
	}
	transport := &quic.Transport{Conn: udp,
		VerifySourceAddress: func(net.Addr) bool { return retry },
		ConnContext: func(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
			return context.WithValue(ctx, updatesKey{}, &keyUpdates{}), nil
		}}
	conf := config()
	conf.Tracer = func(ctx context.Context, _ bool, _ quic.ConnectionID) qlogwriter.Trace {
		return ctx.Value(updatesKey{}).(*keyUpdates)
	}
	listener, err := transport.Listen(&tls.Config{Certificates: []tls.Certificate{certificate},
		NextProtos: []string{"wzp"}, MinVersion: tls.VersionTLS13}, conf)
	if err != nil {
		fatal(err)
	}
	s := &server{}
	say("listening", fields{"at": udp.LocalAddr().String()})
	go input(s.obey)
	for {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			fatal(err)
		}
		go s.attend(&member{name: conn.ConnectionState().TLS.ServerName, conn: conn,
			updates: conn.Context().Value(updatesKey{}).(*keyUpdates)})
	}
}
