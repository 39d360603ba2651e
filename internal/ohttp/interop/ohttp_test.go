package interop

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/cloudflare/circl/hpke"
	"github.com/openpcc/twoway"

	"github.com/cocoon-go/cocoon/internal/ohttp"
)

var suite = hpke.NewSuite(hpke.KEM(ohttp.KEM), hpke.KDF(ohttp.KDF), hpke.AEAD(ohttp.AEAD))

var seed = bytes.Repeat([]byte{0x5a}, ohttp.SeedSize)

// sizes of messages, around the borders of chunks and of length encodings.
var sizes = []int{0, 1, 47, 48, 63, 64, 1000, 16367, 16368, 16383, 16384, 16385, 100000}

func ours(t *testing.T) *ohttp.PrivateKey {
	t.Helper()
	k, err := ohttp.NewPrivateKey(3, seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func options() []twoway.Option {
	return []twoway.Option{twoway.EnableChunking(), twoway.WithMaxChunkPlaintextLen(ohttp.MaxChunk)}
}

func sealAll(t *testing.T, s *ohttp.Sealer, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := ohttp.NewWriter(&out, s)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func same(t *testing.T, what string, got []byte, err error, want []byte) {
	t.Helper()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, %v; want %d bytes", what, len(got), err, len(want))
	}
}

// Their client, our server.
func TestTheirClient(t *testing.T) {
	k := ours(t)
	config := k.Config().Bytes()
	pub, err := hpke.KEM(ohttp.KEM).Scheme().UnmarshalBinaryPublicKey(config[3 : 3+ohttp.PublicKeySize])
	if err != nil {
		t.Fatal(err)
	}
	sender, err := twoway.NewRequestSender(suite, k.Config().ID(), pub, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := bytes.Repeat([]byte{'r'}, size)
			theirs, err := sender.NewRequestSealer(bytes.NewReader(content), []byte(ohttp.Chunked.Request), options()...)
			if err != nil {
				t.Fatal(err)
			}
			h, err := ohttp.ReadRequestHeader(theirs)
			if err != nil {
				t.Fatal(err)
			}
			s, err := k.Accept(h, ohttp.Chunked)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(s.Request(theirs))
			same(t, "request", got, err, content)
			rs, err := s.Response()
			if err != nil {
				t.Fatal(err)
			}
			opener, err := theirs.NewResponseOpener(bytes.NewReader(sealAll(t, rs, content)), []byte(ohttp.Chunked.Response), options()...)
			if err != nil {
				t.Fatal(err)
			}
			got, err = io.ReadAll(opener)
			same(t, "response", got, err, content)
		})
	}
}

// Our client, their server.
func TestTheirServer(t *testing.T) {
	k := ours(t)
	priv, err := hpke.KEM(ohttp.KEM).Scheme().UnmarshalBinaryPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := twoway.NewRequestReceiver(suite, k.Config().ID(), priv, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := bytes.Repeat([]byte{'r'}, size)
			c, err := ohttp.NewClient(k.Config(), ohttp.Chunked)
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.Request()
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := receiver.NewRequestOpener(bytes.NewReader(sealAll(t, s, content)), []byte(ohttp.Chunked.Request), options()...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(theirs)
			same(t, "request", got, err, content)
			rs, err := theirs.NewResponseSealer(bytes.NewReader(content), []byte(ohttp.Chunked.Response), options()...)
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Response(rs)
			if err != nil {
				t.Fatal(err)
			}
			got, err = io.ReadAll(r)
			same(t, "response", got, err, content)
		})
	}
}
