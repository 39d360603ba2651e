package attestation

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/amd"
)

// snpSection is the section [snp] of a policy file.
type snpSection struct {
	SigningKeys     []string              `toml:"signing_keys"`
	Permit          []string              `toml:"permit"`
	Require         []string              `toml:"require"`
	PlatformRequire []string              `toml:"platform_require"`
	IDKeys          []string              `toml:"id_keys"`
	AuthorKeys      []string              `toml:"author_keys"`
	MinTCB          map[string]tcbSection `toml:"min_tcb"`
	UnsafeDebug     bool                  `toml:"unsafe_debug"`
	UnsafeMigration bool                  `toml:"unsafe_migration"`
}

// tcbSection is a section [snp.min_tcb.PRODUCT].
type tcbSection struct {
	FMC        *uint8 `toml:"fmc"`
	Bootloader *uint8 `toml:"bootloader"`
	TEE        *uint8 `toml:"tee"`
	SNP        *uint8 `toml:"snp"`
	Microcode  *uint8 `toml:"microcode"`
}

// snpPolicy is [snpSection] as values.
type snpPolicy struct {
	permit     []string                // with what unsafe_ options add
	floors     map[amd.Product]amd.TCB // products that may be used, with their lowest TCB
	idKeys     [][]byte
	authorKeys [][]byte
}

var snpProducts = map[string]amd.Product{"milan": amd.Milan, "genoa": amd.Genoa, "turin": amd.Turin}

func (p *Policy) buildSNP() error {
	s := &p.f.SNP
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	known := func(name string, list []string, of []string) {
		for _, x := range list {
			if !slices.Contains(of, x) {
				add(problem("snp."+name, "unknown name %q; known are %s", x, strings.Join(of, ", ")))
			}
		}
	}
	known("signing_keys", s.SigningKeys, []string{amd.VCEK.String(), amd.VLEK.String()})
	known("permit", s.Permit, []string{"cxl", "smt"}) // debug and migrate_ma have unsafe_ options
	known("require", s.Require, slices.Sorted(maps.Keys(snpDemands)))
	known("platform_require", s.PlatformRequire, slices.Sorted(maps.Keys(snpPlatform)))
	p.snp.permit = slices.Clone(s.Permit)
	if s.UnsafeDebug {
		p.snp.permit = append(p.snp.permit, "debug")
	}
	if s.UnsafeMigration {
		p.snp.permit = append(p.snp.permit, "migrate_ma")
	}
	var err error
	p.snp.idKeys, err = digests("snp.id_keys", s.IDKeys, 48)
	add(err)
	p.snp.authorKeys, err = digests("snp.author_keys", s.AuthorKeys, 48)
	add(err)
	p.snp.floors = map[amd.Product]amd.TCB{}
	for _, name := range slices.Sorted(maps.Keys(s.MinTCB)) {
		product, ok := snpProducts[name]
		if !ok {
			add(problem("snp.min_tcb", "unknown product %q; known are genoa, milan, turin", name))
			continue
		}
		t, err := s.MinTCB[name].value(product)
		if err != nil {
			add(problem("snp.min_tcb."+name, "%v", err))
		}
		p.snp.floors[product] = t
	}
	if slices.Contains(p.f.Accept, KindSNP) {
		if len(s.SigningKeys) == 0 {
			add(problem("snp.signing_keys", "names no key, so nothing can be accepted"))
		}
		if len(s.MinTCB) == 0 {
			add(problem("snp.min_tcb", "names no product, so nothing can be accepted"))
		}
	}
	return errors.Join(errs...)
}

func (t tcbSection) value(p amd.Product) (amd.TCB, error) {
	if t.Bootloader == nil || t.TEE == nil || t.SNP == nil || t.Microcode == nil {
		return amd.TCB{}, errors.New("wants bootloader, tee, snp and microcode")
	}
	out := amd.TCB{Bootloader: *t.Bootloader, TEE: *t.TEE, SNP: *t.SNP, Microcode: *t.Microcode}
	if (t.FMC != nil) != (p == amd.Turin) {
		return amd.TCB{}, errors.New("fmc belongs to turin, and turin wants it")
	}
	if t.FMC != nil {
		out.FMC = *t.FMC
	}
	return out, nil
}
