package chain

import (
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// JudgeAnswer does with the bytes of an answer what a client does with them, and
// says whether they prove something from the block at.
func JudgeAnswer(b []byte, at BlockID, addr attestation.Address, lt uint64, hash [32]byte) (proved bool) {
	resp, err := parseAnswer(b)
	if err != nil {
		return false
	}
	switch r := resp.(type) {
	case ton.PartialBlockProof:
		w := way{at: at}
		for _, step := range r.Steps {
			l, err := newLink(step, w.at)
			if err != nil {
				return false
			}
			if _, err := w.step(l); err != nil {
				return false
			}
		}
		return len(r.Steps) > 0
	case ton.AccountState:
		p := &accountParts{proof: r.Proof, state: r.State, shard: r.Shard, shardProof: r.ShardProof, config: r.ShardProof}
		_, err := p.verify(at, addr)
		return err == nil
	case ton.TransactionList:
		_, err := checkTransactions(r.Transactions, addr, lt, hash, 16)
		return err == nil
	case ton.ConfigAll:
		var proof []*cell.Cell
		for _, boc := range [][]byte{r.StateProof, r.ConfigProof} {
			c, err := parseCell(boc)
			if err != nil {
				return false
			}
			proof = append(proof, c)
		}
		_, _, err := checkConfigSafe(at, proof, configParams)
		return err == nil
	case ton.BlockHeader:
		c, err := parseCell(r.HeaderProof)
		if err != nil || checkLevels(c) != nil {
			return false
		}
		_, err = checkHeader(c, at)
		return err == nil
	}
	return false
}
