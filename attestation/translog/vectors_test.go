package translog

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// makeVectors returns file name and text; docs/spec/log.md section 9 describes
// the form. Leaf i of the log in them is SHA-256(0x00 || uint64(i)).
func makeVectors(t *testing.T) map[string]string {
	out := map[string]string{}
	l := newMemLog(t, 11)
	key, pub := testKey(7)
	c := testCheckpoint()
	note, err := c.SignNote(key)
	if err != nil {
		t.Fatal(err)
	}
	sig := c.SignAnchor(key)
	out["checkpoint.txt"] = fmt.Sprintf("cocoon log vector v1\nkind: checkpoint\nexpect: ok\nchain: %d\nnode: %s\nepoch: %d\nsize: %d\nroot: %x\nkey: %x\ndigest: %x\nsignature: %x\nnote: %x\n",
		c.ChainID, c.Node, c.Epoch, c.Size, c.Root, pub, c.AnchorDigest(), sig, note)
	hexes := func(p [][32]byte) string {
		var s []string
		for _, h := range p {
			s = append(s, hex.EncodeToString(h[:]))
		}
		return strings.Join(s, ",")
	}
	inclusion := func(name, expect string, index, size uint64, leaf, root [32]byte, proof [][32]byte) {
		out[name+".txt"] = fmt.Sprintf("cocoon log vector v1\nkind: inclusion\nexpect: %s\nindex: %d\nsize: %d\nleaf: %x\nroot: %x\nproof: %s\n", expect, index, size, leaf, root, hexes(proof))
	}
	p, _ := tlog.ProveRecord(11, 6, l)
	proof := fromHashes(p)
	inclusion("inclusion", "ok", 6, 11, l.leaves[6], l.root(t, 11), proof)
	inclusion("inclusion-single", "ok", 0, 1, l.leaves[0], l.root(t, 1), nil)
	inclusion("inclusion-other-leaf", "false", 6, 11, l.leaves[7], l.root(t, 11), proof)
	inclusion("inclusion-other-index", "false", 7, 11, l.leaves[6], l.root(t, 11), proof)
	inclusion("inclusion-long", "false", 6, 11, l.leaves[6], l.root(t, 11), append(proof[:len(proof):len(proof)], l.leaves[0]))
	inclusion("inclusion-outside", "input", 11, 11, l.leaves[6], l.root(t, 11), proof)
	consistency := func(name, expect string, old, size uint64, oldRoot, root [32]byte, proof [][32]byte) {
		out[name+".txt"] = fmt.Sprintf("cocoon log vector v1\nkind: consistency\nexpect: %s\nold: %d\nsize: %d\nleaf: %x\nroot: %x\nproof: %s\n", expect, old, size, oldRoot, root, hexes(proof))
	}
	q, _ := tlog.ProveTree(11, 6, l)
	proof = fromHashes(q)
	consistency("consistency", "ok", 6, 11, l.root(t, 6), l.root(t, 11), proof)
	consistency("consistency-from-empty", "ok", 0, 11, EmptyRoot, l.root(t, 11), nil)
	consistency("consistency-fork", "false", 6, 11, l.root(t, 7), l.root(t, 11), proof)
	consistency("consistency-two-roots", "false", 11, 11, l.root(t, 10), l.root(t, 11), nil)
	consistency("consistency-shrunk", "input", 11, 6, l.root(t, 11), l.root(t, 6), proof)
	return out
}

func runVector(t *testing.T, v map[string]string) error {
	t.Helper()
	num := func(k string) uint64 {
		n, err := strconv.ParseUint(v[k], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		return n
	}
	h32 := func(s string) [32]byte {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 32 {
			t.Fatalf("want 32 bytes: %q", s)
		}
		return [32]byte(b)
	}
	var proof [][32]byte
	if v["proof"] != "" {
		for s := range strings.SplitSeq(v["proof"], ",") {
			proof = append(proof, h32(s))
		}
	}
	switch v["kind"] {
	case "inclusion":
		return VerifyInclusion(h32(v["leaf"]), num("index"), num("size"), h32(v["root"]), proof)
	case "consistency":
		return VerifyConsistency(num("old"), h32(v["leaf"]), num("size"), h32(v["root"]), proof)
	case "checkpoint":
		c := testCheckpoint()
		c.Size, c.Root = num("size"), h32(v["root"])
		if d := c.AnchorDigest(); d != h32(v["digest"]) {
			t.Errorf("digest %x", d)
		}
		sig, _ := hex.DecodeString(v["signature"])
		if err := c.VerifyAnchor(h32(v["key"]), [64]byte(sig)); err != nil {
			return err
		}
		note, _ := hex.DecodeString(v["note"])
		_, _, err := ParseNote(note, c.Node, h32(v["key"]))
		return err
	}
	t.Fatalf("unknown kind %q", v["kind"])
	return nil
}

// TestVectors: the vectors are what the generator writes, and end as they say.
func TestVectors(t *testing.T) {
	files := map[string][]byte{}
	for name, text := range makeVectors(t) {
		files[name] = []byte(text)
	}
	vectortest.Generated(t, "*", files)
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			v := vectortest.Lines(t, text, "cocoon log vector v1", "kind", "expect", "chain", "node", "epoch", "index", "old", "size", "leaf", "root",
				"proof", "key", "digest", "signature", "note")
			vectortest.Ends(t, runVector(t, v), v["expect"], "")
		})
	}
}

// The bytes in the specification are the bytes of the code.
func TestSpecExample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/spec/log.md")
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(doc)), "")
	key, pub := testKey(7)
	c := testCheckpoint()
	d, sig := c.AnchorDigest(), c.SignAnchor(key)
	for name, b := range map[string][]byte{"root": c.Root[:], "key": pub[:], "digest": d[:], "signature": sig[:]} {
		if !strings.Contains(flat, hex.EncodeToString(b)) {
			t.Errorf("docs/spec/log.md lacks the %s: %x", name, b)
		}
	}
	note, _ := c.SignNote(key)
	if !strings.Contains(string(doc), string(note)) {
		t.Errorf("docs/spec/log.md lacks the note:\n%s", note)
	}
	for name := range makeVectors(t) {
		if !strings.Contains(string(doc), "`"+strings.TrimSuffix(name, ".txt")+"`") {
			t.Errorf("docs/spec/log.md does not list the vector %s", name)
		}
	}
}
