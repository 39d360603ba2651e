package main

import "context"

// attestationArea is the verifier, in CPU time of one core.
func attestationArea(ctx context.Context, short bool) ([]Figure, error) {
	intel, err := cpuBench(ctx, "./attestation/intel", "TDX", short)
	if err != nil {
		return nil, err
	}
	out, err := picks(intel,
		want{"tdx-cold", "BenchmarkTDXCold", "ns/op", 1e-6, "ms", "BenchmarkGoTDXGuest", "<= 1.2"},
		want{"tdx-known-platform", "BenchmarkTDXHot", "ns/op", 1e-6, "ms", "BenchmarkGoTDXGuest", "<= 0.16"},
		want{"tdx-known-platform-allocations", "BenchmarkTDXHot", "allocs/op", 1, "1", "", "<= 40"})
	if err != nil {
		return nil, err
	}
	amd, err := cpuBench(ctx, "./attestation/amd", "Cold$|Hot|GoSEVGuest", short)
	if err != nil {
		return nil, err
	}
	more, err := picks(amd,
		want{"snp-cold", "BenchmarkCold", "ns/op", 1e-6, "ms", "BenchmarkGoSEVGuest", "<= 1.5"},
		want{"snp-known-chip", "BenchmarkHot", "ns/op", 1e-6, "ms", "BenchmarkGoSEVGuest", "<= 0.6"})
	out = append(out, more...)
	if err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, bool) ([]Figure, error){gpuFigures, moduleFigures, gpuNodeFigures} {
		f, err := part(ctx, short)
		if err != nil {
			return nil, err
		}
		out = append(out, f...)
	}
	return out, nil
}

// transportArea is the sealed exchange, without chain and engine.
func transportArea(ctx context.Context, short bool) ([]Figure, error) {
	sealed, err := goBench(ctx, "./internal/sealed", "Exchange|Frame", short)
	if err != nil {
		return nil, err
	}
	out, err := picks(sealed,
		want{"exchange-cpu", "BenchmarkExchange", "ns/op", 1e-6, "ms", "", ""},
		want{"exchange-allocations", "BenchmarkExchange", "allocs/op", 1, "1", "", ""},
		want{"frame-seal", "BenchmarkFrameSeal", "ns/op", 1e-3, "us", "", ""},
		want{"frame-open", "BenchmarkFrameOpen", "ns/op", 1e-3, "us", "", ""})
	if err != nil {
		return nil, err
	}
	ohttp, err := goBench(ctx, "./internal/ohttp", "Setup", short)
	if err != nil {
		return nil, err
	}
	more, err := picks(ohttp,
		want{"encapsulate", "BenchmarkClientSetup", "ns/op", 1e-3, "us", "", ""},
		want{"decapsulate", "BenchmarkServerSetup", "ns/op", 1e-3, "us", "", ""})
	return append(out, more...), err
}

// enclaveArea is what one answer costs inside the enclave beside the engine.
func enclaveArea(ctx context.Context, short bool) ([]Figure, error) {
	ledger, err := goBench(ctx, "./enclave/ledger", ".", short)
	if err != nil {
		return nil, err
	}
	out, err := picks(ledger,
		want{"log-append", "BenchmarkAppend1", "ns/op", 1e-6, "ms", "", ""},
		want{"log-append-8-at-once", "BenchmarkAppend8", "appends/s", 1, "1/s", "", ""},
		want{"inclusion-proof", "BenchmarkInclusionProof", "ns/op", 1e-3, "us", "", ""})
	if err != nil {
		return nil, err
	}
	rec, err := goBench(ctx, "./attestation/receipt", ".", short)
	if err != nil {
		return nil, err
	}
	more, err := picks(rec,
		want{"receipt-sign", "BenchmarkSign", "ns/op", 1e-3, "us", "", ""},
		want{"receipt-verify", "BenchmarkParseVerify", "ns/op", 1e-3, "us", "", ""})
	if err != nil {
		return nil, err
	}
	engine, err := engineFigures(ctx, short)
	return append(append(out, more...), engine...), err
}

// chainArea is the contracts and the dev chain.
func chainArea(ctx context.Context, short bool) ([]Figure, error) {
	out, err := costFigures(ctx)
	if err != nil {
		return nil, err
	}
	res, err := goBench(ctx, "./chain/devnet", "Transactions", short)
	if err != nil {
		return nil, err
	}
	more, err := picks(res, want{"dev-chain", "BenchmarkTransactions", "tx/s", 1, "tx/s", "", ">= 2000"})
	return append(out, more...), err
}
