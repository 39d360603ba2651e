package chain

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// accountProof is an account proof whose shape is good. Nothing of it is verified.
type accountProof struct {
	addr  attestation.Address
	start BlockID
	links []link
	parts accountParts
}

// decodeProof reads the container. Errors say what is malformed.
func decodeProof(proof []byte) (*accountProof, error) {
	p, err := parseProof(proof)
	if err != nil {
		return nil, attestation.BadInput("account proof: %w", err)
	}
	return p, nil
}

func parseProof(proof []byte) (*accountProof, error) {
	w, err := parseContainer(proof)
	if err != nil {
		return nil, err
	}
	var p accountProof
	if p.addr, err = attestation.DecodeAddress(w.Address); err != nil {
		return nil, err
	}
	if err := checkWorkchain(p.addr); err != nil {
		return nil, err
	}
	if p.start, err = decodeBlockID(w.Start); err != nil {
		return nil, err
	}
	for i := range w.Links {
		l, err := w.Links[i].decode()
		if err != nil {
			return nil, fmt.Errorf("link %d: %w", i, err)
		}
		p.links = append(p.links, l)
	}
	return &p, w.parts(&p.parts)
}

// parseContainer reads the CBOR around the cells.
func parseContainer(proof []byte) (*proofCBOR, error) {
	if len(proof) > MaxAccountProof {
		return nil, fmt.Errorf("%d bytes, at most %d", len(proof), MaxAccountProof)
	}
	var w proofCBOR
	if err := proofDec.Unmarshal(proof, &w); err != nil {
		return nil, err
	}
	if again, err := proofEnc.Marshal(w); err != nil || !bytes.Equal(again, proof) {
		return nil, errors.New("not in deterministic encoding")
	}
	if w.Type != accountProofType {
		return nil, fmt.Errorf("type %q, want %q", w.Type, accountProofType)
	}
	if len(w.Links) > maxLinks {
		return nil, fmt.Errorf("%d links, at most %d", len(w.Links), maxLinks)
	}
	return &w, nil
}

// unbocs reads cells, and keeps the first thing that went wrong.
type unbocs struct{ err error }

func (u *unbocs) roots(what string, b []byte, n int) []*cell.Cell {
	if u.err != nil {
		return nil
	}
	roots, err := unboc(b, n)
	if err != nil {
		u.err = fmt.Errorf("%s: %w", what, err)
	}
	return roots
}

func (u *unbocs) one(what string, b []byte) *cell.Cell {
	roots := u.roots(what, b, 1)
	if u.err != nil {
		return nil
	}
	return roots[0]
}

func (x *linkCBOR) decode() (l link, err error) {
	l = link{toKey: x.ToKey, backward: x.Backward}
	if l.to, err = decodeBlockID(x.To); err != nil {
		return l, err
	}
	if x.Backward != (x.State != nil) || x.Backward != (x.Sigs == nil) {
		return l, errors.New("it has the parts of both directions, or of none")
	}
	var u unbocs
	l.dest, l.source = u.one("header", x.Dest), u.one("source header", x.Source)
	if x.Backward {
		l.state = u.one("old blocks", x.State)
	} else if l.sigs, err = x.Sigs.decode(); err != nil {
		return l, err
	}
	return l, u.err
}

// parts reads what shows the account at its block.
func (w *proofCBOR) parts(p *accountParts) (err error) {
	var u unbocs
	if w.Shard != nil {
		if p.shard, err = decodeShardID(w.Shard); err != nil {
			return err
		}
		p.shardProof = u.roots("shard proof", w.ShardProof, 2)
	} else if w.ShardProof != nil {
		return errors.New("shard proof without a shard block")
	}
	p.proof, p.config = u.roots("state proof", w.Proof, 2), u.roots("configuration proof", w.Config, 2)
	if w.State != nil {
		p.state = u.one("state", w.State)
	}
	return u.err
}
