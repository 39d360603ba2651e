package amd

import (
	"encoding/hex"
	"fmt"
)

// Product is a product line: the chips that share one AMD root key.
type Product uint8

// The product lines with SEV-SNP. Bergamo and Siena belong to Genoa (57230,
// chapter 2).
const (
	UnknownProduct Product = iota
	Milan
	Genoa
	Turin
)

// String returns the name that AMD's certificates and URLs use.
func (p Product) String() string {
	switch p {
	case Milan:
		return "Milan"
	case Genoa:
		return "Genoa"
	case Turin:
		return "Turin"
	}
	return "unknown product"
}

func productNamed(name string) Product {
	for _, p := range []Product{Milan, Genoa, Turin} {
		if p.String() == name {
			return p
		}
	}
	return UnknownProduct
}

// productOf maps the CPUID family and model in a report (version 3 and later)
// to the product line.
func productOf(family, model uint8) Product {
	switch {
	case family == 0x19 && model <= 0x0f:
		return Milan
	case family == 0x19 && (model >= 0x10 && model <= 0x1f || model >= 0xa0 && model <= 0xaf):
		return Genoa // Genoa, Bergamo, Siena
	case family == 0x1a && model <= 0x11:
		return Turin
	}
	return UnknownProduct
}

// hwidSize is the length of the hardware id in a VCEK (57230, table 11).
func (p Product) hwidSize() int {
	if p == Turin {
		return 8
	}
	return ChipIDSize
}

// TCBVersion is a TCB_VERSION as it stands in a report: eight security version
// numbers whose order depends on the product line (56860, section 2.2).
type TCBVersion [8]byte

// String returns the eight bytes in hex, in the order of the report.
func (v TCBVersion) String() string { return hex.EncodeToString(v[:]) }

// TCB is a decoded TCB_VERSION: the security version of each part of the
// platform's firmware. Larger is newer.
type TCB struct {
	FMC        uint8 // first mutable code of the security processor; Turin only, else 0
	Bootloader uint8 // security processor boot loader
	TEE        uint8 // security processor operating system
	SNP        uint8 // SEV-SNP firmware
	Microcode  uint8 // lowest microcode patch level of all cores
	// Reserved holds the bytes without a meaning today: four on Milan and
	// Genoa, three on Turin. Zero on all known platforms.
	Reserved [4]uint8
}

// Decode splits v by the layout of the product line. Milan and Genoa:
// [boot loader, TEE, reserved*4, SNP, microcode]; Turin:
// [FMC, boot loader, TEE, SNP, reserved*3, microcode].
func (v TCBVersion) Decode(p Product) TCB {
	if p == Turin {
		return TCB{FMC: v[0], Bootloader: v[1], TEE: v[2], SNP: v[3], Microcode: v[7],
			Reserved: [4]uint8{v[4], v[5], v[6]}}
	}
	return TCB{Bootloader: v[0], TEE: v[1], SNP: v[6], Microcode: v[7],
		Reserved: [4]uint8{v[2], v[3], v[4], v[5]}}
}

// Encode is the inverse of [TCBVersion.Decode].
func (t TCB) Encode(p Product) TCBVersion {
	if p == Turin {
		return TCBVersion{t.FMC, t.Bootloader, t.TEE, t.SNP, t.Reserved[0], t.Reserved[1], t.Reserved[2], t.Microcode}
	}
	return TCBVersion{t.Bootloader, t.TEE, t.Reserved[0], t.Reserved[1], t.Reserved[2], t.Reserved[3], t.SNP, t.Microcode}
}

// AtLeast reports whether every part of t is at least the part of min. TCBs are
// only partly ordered: neither of two may be at least the other.
func (t TCB) AtLeast(min TCB) bool {
	for i := range t.Reserved {
		if t.Reserved[i] < min.Reserved[i] {
			return false
		}
	}
	return t.FMC >= min.FMC && t.Bootloader >= min.Bootloader && t.TEE >= min.TEE &&
		t.SNP >= min.SNP && t.Microcode >= min.Microcode
}

// kdsURL is where AMD's key distribution service serves endorsements.
const kdsURL = "https://kdsintf.amd.com"

// CRLURL returns the address of the revocation list that covers the
// intermediate key of the product line (57230, chapter 4).
func CRLURL(p Product, k KeyKind) string {
	return fmt.Sprintf("%s/%s/v1/%s/crl", kdsURL, k.kdsPath(), p)
}

// CertChainURL returns the address of the intermediate and root certificates.
func CertChainURL(p Product, k KeyKind) string {
	return fmt.Sprintf("%s/%s/v1/%s/cert_chain", kdsURL, k.kdsPath(), p)
}

// VCEKURLs returns where the certificate that endorses a VCEK-signed report can
// be fetched. A version 2 report does not name its product, so there are two
// candidates (Milan, Genoa). Nil when the chip id is masked or the report is
// signed by a VLEK: VLEK certificates come from the cloud provider.
func (r *Report) VCEKURLs() []string {
	if r.SigningKey != VCEK || r.ChipID == ([ChipIDSize]byte{}) {
		return nil
	}
	products := []Product{r.Product()}
	if products[0] == UnknownProduct {
		products = []Product{Milan, Genoa}
		if r.turinLike() {
			products = []Product{Turin}
		}
	}
	urls := make([]string, 0, len(products))
	for _, p := range products {
		t := r.ReportedTCB.Decode(p)
		fmc := ""
		if p == Turin {
			fmc = fmt.Sprintf("fmcSPL=%02d&", t.FMC)
		}
		urls = append(urls, fmt.Sprintf("%s/vcek/v1/%s/%x?%sblSPL=%02d&teeSPL=%02d&snpSPL=%02d&ucodeSPL=%02d",
			kdsURL, p, r.ChipID[:p.hwidSize()], fmc, t.Bootloader, t.TEE, t.SNP, t.Microcode))
	}
	return urls
}
