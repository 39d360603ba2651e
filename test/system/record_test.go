package system

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
)

// What the chain said of a node can be checked elsewhere, by its proof alone; a file
// that puts things together which were never true at once is refused.
func TestRecord(t *testing.T) {
	t.Parallel()
	w, ctx := shared, testContext(t)
	r, fresh := w.bootFresh(t), w.takeNode(t)
	u := r.newUser(t, r.newRelay(t))
	u.mustAsk(t, newSecret())
	r.anchor(t)
	type parts struct {
		Type     string `cbor:"0,keyasint"`
		Node     []byte `cbor:"1,keyasint"`
		Root     []byte `cbor:"2,keyasint"`
		Platform []byte `cbor:"3,keyasint,omitempty"`
	}
	read := func(addr attestation.Address) (*client.Record, []byte) {
		t.Helper()
		rec, err := u.Record(ctx, addr)
		if err != nil {
			t.Fatal(err)
		}
		b, err := rec.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return rec, b
	}
	rec, file := read(r.node)
	_, unregistered := read(fresh)
	r.awaitHead(t, rec.Node.At.Seqno+1)
	_, later := read(r.node)
	edit := func(b []byte, f func(p, later *parts)) []byte {
		t.Helper()
		var p, l parts
		for b, p := range map[*parts][]byte{&p: b, &l: later} {
			if err := cbor.Unmarshal(p, b); err != nil {
				t.Fatal(err)
			}
		}
		f(&p, &l)
		enc, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			t.Fatal(err)
		}
		out, err := enc.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	way, err := client.RecordBlocks(file)
	if err != nil || way[len(way)-1] != rec.Node.At.ID() {
		t.Fatalf("%v, %v", way, err)
	}
	for _, trusted := range []chain.BlockID{way[0], rec.Node.At.ID()} {
		got, err := client.VerifyRecord(file, w.net.Registry, trusted)
		if err != nil {
			t.Fatal(err)
		}
		slot, ok := got.Platform.Slot(r.node)
		if got.Node.Anchor != rec.Node.Anchor || got.Node.Anchor.Size != 1 || !ok || slot.IsZero() || len(got.Root.Nodes) == 0 || got.Root.At != got.Node.At {
			t.Errorf("%+v", got.Node)
		}
	}
	if got, err := client.VerifyRecord(unregistered, w.net.Registry, way[0]); err != nil || got.Platform != nil || got.Node.Current != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	other := w.net.Registry
	other.Hash[0] ^= 1
	for name, c := range map[string]struct {
		file    []byte
		reg     attestation.Address
		trusted []chain.BlockID
		want    family
	}{
		"another registry":        {file, other, way[:1], refused},
		"no registry":             {file, attestation.Address{}, way[:1], badInput},
		"no trusted block":        {file, w.net.Registry, nil, badInput},
		"another trusted block":   {file, w.net.Registry, []chain.BlockID{{Seqno: 1}}, unknown},
		"a newer registry":        {edit(file, func(p, l *parts) { p.Root = l.Root }), w.net.Registry, way[:1], badInput},
		"a newer machine":         {edit(file, func(p, l *parts) { p.Platform = l.Platform }), w.net.Registry, way[:1], badInput},
		"no machine":              {edit(file, func(p, _ *parts) { p.Platform = nil }), w.net.Registry, way[:1], badInput},
		"a machine without epoch": {edit(unregistered, func(p, l *parts) { p.Platform = l.Platform }), w.net.Registry, way[:1], badInput},
		"another machine":         {edit(file, func(p, _ *parts) { p.Platform = p.Root }), w.net.Registry, way[:1], badInput},
		"another account":         {edit(file, func(p, _ *parts) { p.Node = p.Root }), w.net.Registry, way[:1], chainSay},
		"no node":                 {edit(file, func(p, _ *parts) { p.Node = nil }), w.net.Registry, way[:1], badInput},
		"another type":            {edit(file, func(p, _ *parts) { p.Type += "1" }), w.net.Registry, way[:1], badInput},
		"a byte more":             {append(bytes.Clone(file), 0), w.net.Registry, way[:1], badInput},
		"a longer form":           {append([]byte{0xb8, 4}, file[1:]...), w.net.Registry, way[:1], badInput},
		"more than there may be":  {make([]byte, client.MaxRecord+1), w.net.Registry, way[:1], badInput},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := client.VerifyRecord(c.file, c.reg, c.trusted...)
			if got != nil {
				t.Error("accepted")
			}
			wantError(t, err, c.want, "")
		})
	}
	for i := 0; i < len(file); i += 97 {
		bad := bytes.Clone(file)
		bad[i] ^= 4
		if got, err := client.VerifyRecord(bad, w.net.Registry, way[0]); err == nil || got != nil {
			t.Fatalf("byte %d changed: accepted", i)
		}
	}
}
