// Package contracts holds the registry's contracts on TON and the typed forms
// of every message and state: Root, Node, Platform, Verifier and Channel
// (docs/spec/contracts-*.md; TL-B in cocoon.tlb).
//
// The contracts are written in Tolk. The compiled code is committed and
// embedded, so building and testing need Go alone; tools/contracts recompiles
// it and compares. The hash of the code decides every address: code of a
// contract that is deployed never changes, a new version is a new Root.
//
// Everything here is pure: builders make cells, parsers read cells, and nothing
// talks to a network. What a parser returns is only as true as where the cell
// came from; package chain brings cells with proofs.
//
// Amounts are in nano (1e-9 coin), times in unix seconds, intervals in seconds.
package contracts

import (
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

//go:embed *.boc *.json errors.tolk
var files embed.FS

// Manifest says how a contract's code came to be.
type Manifest struct {
	Contract string `json:"contract"`
	Compiler string `json:"compiler"`
	CodeHash string `json:"codeHash"` // of the root cell, hex
	Sources  []struct {
		File   string `json:"file"`
		SHA256 string `json:"sha256"`
	} `json:"sources"`
}

// ReadManifest returns the manifest of one contract: "root", "node", ...
func ReadManifest(name string) (*Manifest, error) {
	b, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil, fmt.Errorf("no contract %q", name)
	}
	m := new(Manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	return m, nil
}

func loadCode(name string) func() *cell.Cell {
	return sync.OnceValue(func() *cell.Cell {
		m, err := ReadManifest(name)
		if err != nil {
			panic(err)
		}
		b, err := files.ReadFile(name + ".boc")
		if err != nil {
			panic(err)
		}
		c, err := cell.FromBOC(b)
		if err != nil || hex.EncodeToString(c.Hash()) != m.CodeHash {
			panic(fmt.Sprintf("embedded code of %s is not what its manifest says: %v", name, err))
		}
		return c
	})
}

var (
	rootCode = loadCode("root")
	nodeCode = loadCode("node")
)

// RootCode returns the code of Root.
func RootCode() *cell.Cell { return rootCode() }

// NodeCode returns the code of Node.
func NodeCode() *cell.Cell { return nodeCode() }

// CodeID is what an address depends on of a contract's code. The zero CodeID
// means: there is no such contract in this generation.
type CodeID struct {
	Hash  [32]byte
	Depth uint16
}

// CodeIDOf returns the identity of code.
func CodeIDOf(code *cell.Cell) CodeID {
	return CodeID{Hash: hash32(code), Depth: code.Depth()}
}

// NodeCodeID returns the identity of [NodeCode].
func NodeCodeID() CodeID { return CodeIDOf(NodeCode()) }

func hash32(c *cell.Cell) [32]byte { return [32]byte(c.Hash()) }
