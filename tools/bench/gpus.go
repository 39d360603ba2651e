package main

import (
	"context"
	"fmt"
	"os"
)

// gpuFigures is one GPU and eight. The figures with goals need real evidence,
// from COCOON_VECTORS.
func gpuFigures(ctx context.Context, short bool) ([]Figure, error) {
	res, err := cpuBench(ctx, "./attestation/nvidia", "GPU|RIM$", short)
	if err != nil {
		return nil, err
	}
	var wants []want
	if os.Getenv("COCOON_VECTORS") == "" {
		fmt.Fprintln(os.Stderr, "bench: COCOON_VECTORS is not set: NO FIGURES OF REAL GPUS; set it to the directory that holds manifest.json")
	} else {
		wants = []want{
			{"gpu-cold", "BenchmarkGPUCold", "ns/op", 1e-6, "ms", "", "<= 3.5"},
			{"gpu-known", "BenchmarkGPUHot", "ns/op", 1e-6, "ms", "", "<= 0.62"},
			{"rim-document", "BenchmarkRIM", "ns/op", 1e-6, "ms", "", "<= 1.3"},
		}
	}
	return picks(res, append(wants,
		want{"gpu-with-documents-cold", "BenchmarkGPUStrictCold", "ns/op", 1e-6, "ms", "", ""},
		want{"gpu-with-documents-known", "BenchmarkGPUStrictHot", "ns/op", 1e-6, "ms", "", ""},
		want{"8-gpus-cold", "BenchmarkEightGPUs/Cold", "ns/op", 1e-6, "ms", "", ""},
		want{"8-gpus-known", "BenchmarkEightGPUs/Hot", "ns/op", 1e-6, "ms", "", ""})...)
}

// moduleFigures is a TPM quote with the certificates of its key.
func moduleFigures(ctx context.Context, short bool) ([]Figure, error) {
	res, err := cpuBench(ctx, "./attestation/tpm", "Verify$/P-256", short)
	if err != nil {
		return nil, err
	}
	return picks(res, want{"tpm-quote", "BenchmarkVerify/P-256", "ns/op", 1e-6, "ms", "", ""})
}

// gpuNodeFigures is a node with one CPU and eight GPUs: CPU time on one core, and
// the time of the clock on two beside it. And the memory of many nodes.
func gpuNodeFigures(ctx context.Context, short bool) ([]Figure, error) {
	res, err := runBench(ctx, "./attestation", "EightGPUNode", append(runs(short), "-cpu", "1,2")...)
	if err != nil {
		return nil, err
	}
	node := func(name, bench, goal string) []want {
		bench = "BenchmarkEightGPUNode/" + bench
		return []want{
			{"node-8-gpus-" + name + "-cpu", bench, "cpu-ns/op", 1e-6, "ms", "", goal},
			{"node-8-gpus-" + name + "-wall-2-cores", bench + "-2", "ns/op", 1e-6, "ms", "", ""},
		}
	}
	wants := append(node("cold", "Cold", "<= 20"), node("known", "Hot", "<= 5")...)
	wants = append(wants, node("ocsp-cold", "StrictCold", "")...)
	wants = append(wants, node("ocsp-known", "StrictHot", "")...)
	out, err := picks(res, wants...)
	if err != nil {
		return nil, err
	}
	memory, err := runBench(ctx, "./client", "Memory10000Nodes", "-cpu", "1", "-count", "1", "-benchtime", "1x", fmt.Sprintf("-short=%v", short))
	if err != nil {
		return nil, err
	}
	more, err := picks(memory, want{"memory-10000-nodes", "BenchmarkMemory10000Nodes", "MiB", 1.048576, "MB", "", "<= 100"})
	return append(out, more...), err
}
