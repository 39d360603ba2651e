package chain

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// What a V5R1 wallet needs gas for, rounded up from what was measured
// (TestNeeds): taking a signed order, and each message of it.
const (
	gasOfOrder   = 6_000
	gasOfMessage = 800
	// feeSlack is for storage since the wallet's last transaction, and for prices
	// that change before the order is taken, in nanocoins.
	feeSlack = 2_000_000
)

// ShortError says that a wallet holds less than a payment needs. Nothing was signed.
type ShortError struct {
	Wallet       attestation.Address
	Holds, Needs *big.Int // in nanocoins; Needs as [Writer.Needs] counts
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("wallet %s holds %s coins, the payment needs %s with fees: send coins to it", e.Wallet, coins(e.Holds), coins(e.Needs))
}

// Needs returns what the wallet must hold for a payment, in nanocoins: the
// amounts and, rounded up, the fees of taking the order and of forwarding the
// messages, by the proved prices of the network. A wallet that holds less skips
// messages, and keeps the gas.
func (w *Writer) Needs(ctx context.Context, msgs ...Message) (*big.Int, error) {
	if _, err := encodeOrders(msgs); err != nil {
		return nil, err
	}
	acc, err := w.client.Account(ctx, w.Address())
	if err != nil {
		return nil, err
	}
	return w.needs(acc, msgs)
}

func (w *Writer) needs(acc *Account, msgs []Message) (*big.Int, error) {
	cfg := tlb.BlockchainConfig{Root: acc.env.Config.Root()}
	need := big.NewInt(feeSlack)
	var cells []*cell.Cell
	for _, m := range msgs {
		c, err := m.cell()
		if err != nil {
			return nil, err
		}
		cells = append(cells, c)
		n, bits := usage(c)
		fee, err := forwardFee(cfg, m.To.Workchain == masterchain, n, bits)
		if err != nil {
			return nil, err
		}
		need.Add(need, m.Amount)
		need.Add(need, fee)
	}
	order, err := w.wallet.transfer(0, acc.Block.Time, !acc.Active(), cells)
	if err != nil {
		return nil, err
	}
	n, bits := usage(order)
	fee, err := forwardFee(cfg, false, n, bits)
	if err != nil {
		return nil, err
	}
	gas, err := cfg.GetGasPrices(false)
	if err != nil {
		return nil, attestation.ChainDisagrees("gas prices of the network: %v", err)
	}
	price := new(big.Int).SetUint64(gas.GasPrice)
	price.Mul(price, big.NewInt(gasOfOrder+gasOfMessage*int64(len(msgs))))
	price.Rsh(price, 16).Add(price, big.NewInt(1))
	need.Add(need, price)
	return need.Add(need, fee), nil
}

// forwardFee is what bringing a message of so many cells to its receiver costs.
func forwardFee(cfg tlb.BlockchainConfig, toMasterchain bool, cells, bits uint64) (*big.Int, error) {
	p, err := cfg.GetMsgForwardPrices(toMasterchain)
	if err != nil {
		return nil, attestation.ChainDisagrees("forwarding prices of the network: %v", err)
	}
	return p.ComputeForwardFee(cells, bits), nil
}

// usage counts the distinct cells of a tree and their bits. The root counts too,
// which the network leaves out: it may have to move a part of it into a cell of
// its own.
func usage(root *cell.Cell) (cells, bits uint64) {
	seen := map[cell.Hash]bool{}
	var walk func(c *cell.Cell)
	walk = func(c *cell.Cell) {
		if seen[c.HashKey()] {
			return
		}
		seen[c.HashKey()] = true
		cells, bits = cells+1, bits+uint64(c.BitsSize())
		for i := range int(c.RefsNum()) {
			walk(c.MustPeekRef(i)) // cells that were built here, or read whole
		}
	}
	walk(root)
	return cells, bits
}

// coins writes an amount of nanocoins as coins, without zeros that say nothing.
func coins(nano *big.Int) string {
	whole, rest := new(big.Int).QuoRem(nano, big.NewInt(1e9), new(big.Int))
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%s.%09d", whole, rest.Abs(rest)), "0"), ".")
}
