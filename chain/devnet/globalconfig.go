package devnet

import (
	"encoding/binary"
	"encoding/json"
)

// The parts of a TON global config, as its JSON has them.
type (
	configBlock struct {
		Workchain int32  `json:"workchain"`
		Shard     int64  `json:"shard"`
		Seqno     uint32 `json:"seqno"`
		RootHash  []byte `json:"root_hash"`
		FileHash  []byte `json:"file_hash"`
	}
	configKey struct {
		Type string `json:"@type"`
		Key  []byte `json:"key"`
	}
	configServer struct {
		IP   int32     `json:"ip"` // big-endian, as a signed number
		Port int       `json:"port"`
		ID   configKey `json:"id"`
	}
)

// GlobalConfig returns the TON global config of the chain: its liteservers, its
// zerostate, and its newest key block as trusted block.
func (c *Chain) GlobalConfig() []byte {
	c.mu.RLock()
	zero, trusted := c.hist.zero, c.hist.head().lastKey
	c.mu.RUnlock()
	var servers []configServer
	for _, s := range c.servers {
		a := s.Addr()
		ip := binary.BigEndian.Uint32(a.IP.To4())
		servers = append(servers, configServer{IP: int32(ip), Port: a.Port, ID: configKey{"pub.ed25519", s.PublicKey()}})
	}
	// dht and hardforks are empty lists: the C++ clients want them present
	out, err := json.MarshalIndent(map[string]any{
		"@type": "config.global",
		"dht": map[string]any{
			"@type": "dht.config.global", "k": 6, "a": 3,
			"static_nodes": map[string]any{"@type": "dht.nodes", "nodes": []any{}},
		},
		"liteservers": servers,
		"validator": map[string]any{
			"@type":      "validator.config.global",
			"zero_state": configBlock{zero.Workchain, zero.Shard, zero.SeqNo, zero.RootHash, zero.FileHash},
			"init_block": configBlock{masterchain, fullShard, trusted.SeqNo, trusted.RootHash, trusted.FileHash},
			"hardforks":  []any{},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // numbers and byte strings always marshal
	}
	return append(out, '\n')
}
