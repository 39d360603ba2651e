package device

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"

	sev "github.com/google/go-sev-guest/client"
	tdx "github.com/google/go-tdx-guest/client"
)

// rtmr3 is where Linux 6.16 and later extends the run-time register that
// carries the configuration (Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest).
const rtmr3 = "/sys/class/misc/tdx_guest/measurements/rtmr3:sha384"

// configurationEvent is the digest that is extended into RTMR3
// (docs/spec/claims.md, "Configuration").
func configurationEvent(digest [32]byte) [48]byte {
	return sha512.Sum384(append([]byte("cocoon/configuration/v1\n"), digest[:]...))
}

// tdxDevice is a TDX guest. The context cannot interrupt the driver: a quote
// is made by the host's quoting service and the kernel bounds the wait.
type tdxDevice struct {
	qp *tdx.LinuxConfigFsQuoteProvider
}

func openTDX() (Device, error) {
	qp, err := tdx.GetQuoteProvider()
	if err == nil {
		err = qp.IsSupported()
	}
	if err != nil {
		return nil, fmt.Errorf("no TDX guest device here: %w", err)
	}
	return &tdxDevice{qp}, nil
}

func (d *tdxDevice) Kind() string { return "tdx" }

func (d *tdxDevice) Configure(_ context.Context, digest [32]byte) error {
	ev := configurationEvent(digest)
	f, err := os.OpenFile(rtmr3, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("extending RTMR3 (Linux 6.16 or later needed): %w", err)
	}
	_, err = f.Write(ev[:])
	return errors.Join(err, f.Close())
}

func (d *tdxDevice) Evidence(ctx context.Context, reportData [64]byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return d.qp.GetRawQuote(reportData)
}

// snpDevice is an SEV-SNP guest. HOST_DATA is set at launch, so Configure
// checks it instead of setting it.
type snpDevice struct{ qp sev.QuoteProvider }

// Where HOST_DATA lies in a report (SEV-SNP ABI 56860, table 23), and the size
// of the report without the certificate table.
const (
	snpReportSize = 0x4A0
	snpHostData   = 0xC0
)

func openSNP() (Device, error) {
	qp, err := sev.GetQuoteProvider()
	if err != nil {
		return nil, fmt.Errorf("no SEV-SNP guest device here: %w", err)
	}
	if !qp.IsSupported() {
		return nil, errors.New("no SEV-SNP guest device here")
	}
	return &snpDevice{qp}, nil
}

func (d *snpDevice) Kind() string { return "snp" }

func (d *snpDevice) Configure(ctx context.Context, digest [32]byte) error {
	report, err := d.Evidence(ctx, [64]byte{})
	if err != nil {
		return err
	}
	if [32]byte(report[snpHostData:snpHostData+32]) != digest {
		return errors.New("HOST_DATA is not the digest of this configuration; launch the guest with host-data of the configuration it gets")
	}
	return nil
}

func (d *snpDevice) Evidence(ctx context.Context, reportData [64]byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := d.qp.GetRawQuote(reportData)
	if err != nil {
		return nil, err
	}
	if len(raw) < snpReportSize {
		return nil, fmt.Errorf("the driver returned %d bytes, a report has %d", len(raw), snpReportSize)
	}
	return raw[:snpReportSize], nil // the certificate table that follows is the host's word; endorsements travel apart
}
