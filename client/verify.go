package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// VerifyURL verifies the node behind a relay. Which node that is, the relay's
// bundle says; everything else comes from the chain and the policy.
func (c *Client) VerifyURL(ctx context.Context, relay string) (*Node, error) {
	p, err := c.fetchPapers(ctx, relay)
	if err != nil {
		return nil, err
	}
	claims, err := p.parsed.Claims()
	if err != nil {
		return nil, err
	}
	rec, err := c.chain.Node(ctx, claims.Node)
	if err != nil {
		return nil, err
	}
	root, err := c.root.get(ctx)
	if err != nil {
		return nil, err
	}
	return c.verifyPapers(ctx, rec, root, relay, p)
}

// verify fetches and verifies the bundle of a node whose record is proved.
func (c *Client) verify(ctx context.Context, rec *registry.Node, root *registry.Root, endpoint string) (*Node, error) {
	if _, err := c.current(rec, root); err != nil {
		return nil, err // before anything is fetched
	}
	p, err := c.fetchPapers(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	return c.verifyPapers(ctx, rec, root, endpoint, p)
}

func (c *Client) verifyPapers(ctx context.Context, rec *registry.Node, root *registry.Root, endpoint string, p *papers) (*Node, error) {
	epoch, err := c.current(rec, root)
	if err != nil {
		return nil, err
	}
	claims, err := p.parsed.Claims()
	if err != nil {
		return nil, err
	}
	reg, err := c.registered(ctx, rec, epoch, root, claims)
	if err != nil {
		return nil, err
	}
	v, err := c.judge(p, reg)
	if err != nil {
		return nil, err
	}
	c.keepPapers(p)
	// What is answered now is judged later at the time of its anchor, so a verdict
	// is looked at anew a merge delay before its end.
	ends := v.NotAfter().Add(-root.MergeDelay)
	return &Node{client: c, verified: v, record: rec, lists: listsOf(root), ends: ends, endpoint: endpoint}, nil
}

// registered is what the chain proves about the registration of claims: also that
// the block which they name is there.
func (c *Client) registered(ctx context.Context, rec *registry.Node, epoch registry.Epoch, root *registry.Root, claims *attestation.Claims) (*attestation.Registered, error) {
	if claims.BlockSeqno != epoch.StartBlock {
		return nil, attestation.ChainDisagrees("the bundle names block %d, the registration of epoch %d block %d", claims.BlockSeqno, epoch.Number, epoch.StartBlock)
	}
	block, err := c.chain.Block(ctx, epoch.StartBlock)
	if err != nil {
		return nil, err
	}
	if block.RootHash != claims.BlockRoot {
		return nil, attestation.ChainDisagrees("block %d has another root hash than the claims say", block.Seqno)
	}
	chainID, err := c.chain.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	return &attestation.Registered{
		Registry: c.cfg.Registry, ChainID: chainID, Node: rec.Address, Epoch: epoch.Number,
		ClaimsDigest: epoch.ClaimsDigest, BlockTime: block.Time, RegisteredAt: epoch.RegisteredAt,
		Measurements: root.Measurements, Models: root.Models,
	}, nil
}

// current returns the node's registration that may be used now. What governance
// revokes ends no registration by itself, so the machine is looked up in the
// registry's own list.
func (c *Client) current(rec *registry.Node, root *registry.Root) (registry.Epoch, error) {
	e, ok := rec.Epoch(rec.Current)
	switch {
	case rec.Root != c.cfg.Registry:
		return e, attestation.Refused("node %v belongs to registry %v, not to %v", rec.Address, rec.Root, c.cfg.Registry)
	case !ok || !e.Active:
		return e, attestation.Refused("node %v has no active registration (it is %s)", rec.Address, rec.Status)
	case !c.cfg.Now().Before(e.Expires):
		return e, attestation.Refused("the registration of node %v ended at %s", rec.Address, e.Expires.Format("2006-01-02 15:04:05Z07:00"))
	case root.State.Revoked[e.PlatformID]:
		return e, attestation.Refused("the registry has revoked the machine of node %v, platform %x: its keys may be known to others", rec.Address, e.PlatformID)
	}
	return e, c.affordable(rec)
}

// affordable compares the node's price with the policy's ceiling (nano coins
// per 1000 tokens; the record states them per million).
func (c *Client) affordable(rec *registry.Node) error {
	ceiling := c.cfg.Policy.PriceCeiling()
	for _, p := range []uint64{rec.PromptPrice, rec.CompletionPrice} {
		if p/1000 > ceiling || p/1000 == ceiling && p%1000 > 0 {
			return attestation.Refused("node %v asks %s coins per 1000 tokens, the policy's price_ceiling is %s", rec.Address, command.Price(p), command.Coins(ceiling))
		}
	}
	return nil
}

// Endorsements makes a set of files. One that is no endorsement is an
// [attestation.InputError].
func Endorsements(files []EndorsementFile) (*attestation.Endorsements, error) {
	e := attestation.NewEndorsements()
	for _, f := range files {
		if err := e.AddFile(f.Name, f.Data); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// fetch reads a public file of a relay, bounded in time and size. That it can't
// be had is "could not find out", whatever the relay says.
func (c *Client) fetch(ctx context.Context, relay, path string, limit int64) ([]byte, error) {
	u, err := relayURL(relay, path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, attestation.BadInput("relay: %w", err)
	}
	req.Header.Set("User-Agent", "")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, attestation.Unknown("asking the relay: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, attestation.Unknown("the relay answers %d to a request for %s", resp.StatusCode, path)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, attestation.Unknown("reading %s from the relay: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, attestation.BadInput("%s of the relay is larger than %d bytes", path, limit)
	}
	return data, nil
}

func relayURL(relay, path string) (string, error) {
	u, err := url.Parse(relay)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", attestation.BadInput("relay %q: want http://HOST[:PORT] or https://HOST[:PORT]", relay)
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/") + path, nil
}
