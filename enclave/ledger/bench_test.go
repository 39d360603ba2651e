package ledger

import (
	"sync/atomic"
	"testing"
)

func benchmarkAppend(b *testing.B, writers int) {
	l := mustOpen(b, b.TempDir(), boot(1))
	sign := signer(1, 0)
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, writers)
	b.ResetTimer()
	for range writers {
		go func() {
			for left.Add(-1) >= 0 {
				if _, err := l.Append(sign); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

func BenchmarkAppend1(b *testing.B) { benchmarkAppend(b, 1) }
func BenchmarkAppend8(b *testing.B) { benchmarkAppend(b, 8) }

func BenchmarkInclusionProof(b *testing.B) {
	m := newMemFS()
	l, err := open(m, "d", boot(1))
	if err != nil {
		b.Fatal(err)
	}
	fill(b, l, 1, 3000)
	b.ResetTimer()
	for i := range b.N {
		if _, err := l.InclusionProof(uint64(i)%3000, 3000); err != nil {
			b.Fatal(err)
		}
	}
}
