package host

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// memoryLog is a log of n leaves.
type memoryLog struct {
	hashes []tlog.Hash
	n      int64
}

func newMemoryLog(t *testing.T, n int64) *memoryLog {
	l := &memoryLog{n: n}
	for i := range n {
		h, err := tlog.StoredHashes(i, []byte{byte(i), byte(i >> 8)}, l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
	}
	return l
}

func (l *memoryLog) ReadHashes(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

func (l *memoryLog) root(t *testing.T, size int64) [32]byte {
	h, err := tlog.TreeHash(size, l)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (l *memoryLog) fetch(_ context.Context, path string) ([]byte, error) {
	p, err := translog.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	return tlog.ReadTileData(tlog.Tile{H: translog.TileHeight, L: int(p.Level), N: int64(p.Index), W: int(p.Width)}, l)
}

func TestChallengeProof(t *testing.T) {
	l := newMemoryLog(t, 300)
	ctx := t.Context()
	missing := contracts.Challenge{Number: 270, Hash: tlog.RecordHash([]byte{270 & 0xff, 270 >> 8}), Size: 290, Root: l.root(t, 290)}
	if p, err := challengeProof(ctx, missing, l.fetch); err != nil || missing.Verify(p) != nil {
		t.Errorf("inclusion: %v", err)
	}
	grown := contracts.Challenge{Log: true, Number: 7, Hash: l.root(t, 7), Size: 300, Root: l.root(t, 300)}
	if p, err := challengeProof(ctx, grown, l.fetch); err != nil || grown.Verify(p) != nil {
		t.Errorf("consistency: %v", err)
	}
	// Nothing is sent that would not convince the contract.
	var false_ *attestation.FalseError
	for name, c := range map[string]contracts.Challenge{
		"another leaf":  {Number: 270, Hash: [32]byte{1}, Size: 290, Root: l.root(t, 290)},
		"another start": {Log: true, Number: 7, Hash: [32]byte{1}, Size: 300, Root: l.root(t, 300)},
		"another log":   {Number: 270, Hash: missing.Hash, Size: 290, Root: [32]byte{1}},
	} {
		if p, err := challengeProof(ctx, c, l.fetch); p != nil || !errors.As(err, &false_) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
