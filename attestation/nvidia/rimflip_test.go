package nvidia

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// flipPositions yields 500 seeded positions of n, or all of them when
// COCOON_LONG is set.
func flipPositions(n int) []int {
	p := rand.New(rand.NewPCG(3, 4)).Perm(n)
	if os.Getenv("COCOON_LONG") == "" && n > 500 {
		p = p[:500]
	}
	return p
}

const realRIM = "nvidia/rims/1010_0200_882_96005E0001_PROD.swidtag"

// TestFlipRIM flips bits of a real document. None is accepted, also where
// nothing is signed: its signature part holds no byte whose neighbour means the
// same.
func TestFlipRIM(t *testing.T) {
	doc := vectortest.Read(t, realRIM)
	v, at := NewVerifier(Options{WithoutRevocationUnsafe: true}, 0), time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	verify := func(b []byte) error {
		d, err := ParseRIM(b)
		if err != nil {
			var se *StepError
			if !errors.As(err, &se) {
				t.Fatalf("no step in %v", err)
			}
			return err
		}
		_, err = v.verifyRIM(d, &ocspSet{}, at, &window{})
		return err
	}
	if err := verify(doc); err != nil {
		t.Fatal(err)
	}
	for _, i := range flipPositions(len(doc) * 8) {
		doc[i/8] ^= 1 << (i % 8)
		if verify(doc) == nil {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
		doc[i/8] ^= 1 << (i % 8)
	}
	if err := verify(doc); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkRIM is the signature of a real RIM document, from bytes: parsing,
// canonical form, digest, XML signature. The signer's chain is known.
func BenchmarkRIM(b *testing.B) { benchmarkRIM(b, 0) }

// BenchmarkRIMSigner adds the certificate of a new signer; the authorities above
// it are known, as after the first document of a product.
func BenchmarkRIMSigner(b *testing.B) { benchmarkRIM(b, 1) }

// BenchmarkRIMCold adds the whole chain.
func BenchmarkRIMCold(b *testing.B) { benchmarkRIM(b, rimChainLength-1) }

// benchmarkRIM verifies a document whose chain is known from a certificate on.
func benchmarkRIM(b *testing.B, known int) {
	doc := vectortest.Read(b, realRIM)
	first, err := ParseRIM(doc)
	if err != nil {
		b.Fatal(err)
	}
	chain, at := first.signed.certs, time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		v := &Verifier{o: Options{WithoutRevocationUnsafe: true}, held: newCache[struct{}](8)}
		for i := known; i < len(chain)-1; i++ {
			v.held.put(linkKey(chain[i], chain[i+1]), struct{}{})
		}
		d, err := ParseRIM(doc)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.verifyRIM(d, &ocspSet{}, at, &window{}); err != nil {
			b.Fatal(err)
		}
	}
}
