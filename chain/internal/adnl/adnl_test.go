package adnl

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/adnl/keys"
)

// params are session parameters in which no two bytes that matter are alike.
func params() *[ParamsSize]byte {
	var p [ParamsSize]byte
	for i := range p {
		p[i] = byte(i)
	}
	return &p
}

// ends returns both ends of a connection; packets have 256 bytes at most.
func ends(t testing.TB) (client, server *Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	client, err := Client(a, params(), 256)
	if err != nil {
		t.Fatal(err)
	}
	server, err = Server(b, params(), 256)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// TestBothSides: what one side writes the other reads, in both directions, packet
// after packet.
func TestBothSides(t *testing.T) {
	client, server := ends(t)
	for _, way := range []struct{ from, to *Conn }{{client, server}, {server, client}, {client, server}, {server, client}} {
		for _, payload := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte{7}, 256-64)} {
			sent := make(chan error, 1)
			go func() { sent <- way.from.Write(payload) }()
			got, err := way.to.Read()
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%d bytes: got %d, %v", len(payload), len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	}
}

// plain is a packet before its cipher.
func plain(payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(64+len(payload)))
	b = append(append(b, make([]byte, 32)...), payload...)
	sum := sha256.Sum256(b[4:])
	return append(b, sum[:]...)
}

// sized is a packet that says it has n bytes, and the bytes.
func sized(n uint32) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, n), make([]byte, min(n, 512))...)
}

// flipped is a packet with one bit of byte i flipped.
func flipped(i int) []byte {
	b := plain([]byte("hello"))
	b[i] ^= 1
	return b
}

// receive lets a client read what a server sends before it hangs up.
func receive(t testing.TB, wire []byte) ([]byte, error) {
	t.Helper()
	client, server := ends(t)
	sent := bytes.Clone(wire)
	server.out.XORKeyStream(sent, sent)
	go func() {
		_, _ = server.tcp.Write(sent)
		_ = server.tcp.Close()
	}()
	got, err := client.Read()
	_ = client.tcp.Close()
	return got, err
}

// TestBadPackets: nothing that a peer sends ends the reader, or costs more than the
// largest packet.
func TestBadPackets(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		want string
	}{
		{"nothing", nil, "EOF"},
		{"torn length", plain(nil)[:3], "unexpected EOF"},
		{"no bytes", sized(0), "packet of 0 bytes, want 64 to 256"},
		{"shorter than its checksum", sized(31), "packet of 31 bytes"},
		{"shorter than nonce and checksum", sized(63), "packet of 63 bytes"},
		{"too long", sized(257), "packet of 257 bytes"},
		{"far too long", sized(1<<32 - 1), "packet of 4294967295 bytes"},
		{"torn", plain([]byte("hello"))[:60], "unexpected EOF"},
		{"zeros", sized(64), "packet checksum"},
		{"nonce", flipped(4), "packet checksum"},
		{"payload", flipped(36), "packet checksum"},
		{"checksum", flipped(41), "packet checksum"},
		{"last bit", flipped(len(plain([]byte("hello"))) - 1), "packet checksum"},
	} {
		if got, err := receive(t, c.wire); err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if got, err := receive(t, plain([]byte("hello"))); err != nil || string(got) != "hello" {
		t.Errorf("a good one: %q, %v", got, err)
	}
}

// TestWriteWaits: a peer that does not read costs a deadline.
func TestWriteWaits(t *testing.T) {
	client, _ := ends(t)
	d := &deadlines{Conn: client.tcp}
	client.tcp = d
	if err := client.Write(nil); err != nil || time.Until(d.last) <= 0 || time.Until(d.last) > writeTimeout {
		t.Errorf("deadline %v, %v", d.last, err)
	}
}

// deadlines takes what is written, and remembers until when it may take.
type deadlines struct {
	net.Conn
	last time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.last = t; return nil }
func (d *deadlines) Write(b []byte) (int, error)        { return io.Discard.Write(b) }

// TestHandshakeCipher: key and initial value are made of halves of both inputs.
func TestHandshakeCipher(t *testing.T) {
	var shared, sum [32]byte
	for i := range shared {
		shared[i], sum[i] = byte(i), byte(100+i)
	}
	var key, iv []byte
	for _, part := range [][]byte{shared[0:16], sum[16:32]} {
		key = append(key, part...)
	}
	for _, part := range [][]byte{sum[0:4], shared[20:32]} {
		iv = append(iv, part...)
	}
	want, err := keys.NewCipherCtr(key, iv)
	if err != nil {
		t.Fatal(err)
	}
	got, err := HandshakeCipher(shared[:], sum)
	if err != nil {
		t.Fatal(err)
	}
	a, b := make([]byte, ParamsSize), make([]byte, ParamsSize)
	got.XORKeyStream(a, a)
	want.XORKeyStream(b, b)
	if !bytes.Equal(a, b) {
		t.Error("another cipher")
	}
	for i := range shared { // the inputs are not written to
		if shared[i] != byte(i) {
			t.Fatal("the shared key has changed")
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(plain(nil))
	f.Add(plain([]byte("hello")))
	f.Add(append(plain([]byte("hello")), plain(nil)...))
	f.Add(sized(63))
	f.Add(sized(257))
	f.Add(flipped(40))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := receive(t, b)
		if err != nil {
			return
		}
		if want := plain(got); !bytes.Equal(b[:4], want[:4]) || !bytes.Equal(b[36:36+len(got)], got) {
			t.Error("another packet")
		}
	})
}
