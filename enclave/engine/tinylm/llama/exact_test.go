package llama

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exactMath lists what this package may use of package math: functions whose
// result IEEE 754 or the bit pattern fixes.
var exactMath = map[string]bool{
	"Float32bits": true, "Float32frombits": true, "Float64bits": true, "Float64frombits": true,
	"Sqrt": true, "Floor": true, "Inf": true, "MaxInt32": true, "MaxInt64": true,
}

// inexact returns the places of the given files where a compiler may fuse a
// product with a sum, or that use a function of package math outside the list.
func inexact(t *testing.T, fset *token.FileSet, files []*ast.File) (out []string) {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	if _, err := conf.Check("llama", fset, files, info); err != nil {
		t.Fatal(err)
	}
	float := func(e ast.Expr) bool {
		tv := info.Types[e]
		b, ok := tv.Type.Underlying().(*types.Basic)
		return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0 && tv.Value == nil // a constant is computed exactly
	}
	for _, f := range files {
		rounded := map[ast.Expr]bool{} // products that a conversion rounds
		ast.Inspect(f, func(n ast.Node) bool {
			report := func(what string) {
				out = append(out, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), what))
			}
			switch n := n.(type) {
			case *ast.CallExpr:
				if len(n.Args) == 1 && info.Types[n.Fun].IsType() && float(n) {
					rounded[ast.Unparen(n.Args[0])] = true
				}
			case *ast.BinaryExpr:
				if n.Op == token.MUL && float(n) && !rounded[n] {
					report("product without a conversion around it")
				}
			case *ast.AssignStmt:
				if n.Tok == token.MUL_ASSIGN && float(n.Lhs[0]) {
					report("*= on floats")
				}
			case *ast.SelectorExpr:
				if id, ok := n.X.(*ast.Ident); ok {
					if p, ok := info.Uses[id].(*types.PkgName); ok && p.Imported().Path() == "math" && !exactMath[n.Sel.Name] {
						report("math." + n.Sel.Name)
					}
				}
			}
			return true
		})
	}
	return out
}

func TestNoFusableProducts(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if len(files) < 6 {
		t.Fatalf("%d files read", len(files))
	}
	for _, s := range inexact(t, fset, files) {
		t.Error(s)
	}
}

// The check finds what it is there for.
func TestNoFusableProductsFinds(t *testing.T) {
	const src = `package llama
import "math"
func a(x, y, z float32) float32 { return x*y + z }
func b(x, y, z float64) float64 { p := x * y; return p + z }
func c(x, y float32) float32 { x *= y; return x }
func d(x, y, z float64) float64 { return math.FMA(x, y, z) }
func e(x float64) float64 { return math.Exp(x) }
func f(x, y, z float32) float32 { return float32(x*y) + z }
func g(x, y float32) float32 { return float32((x * y)) + 2*3.5 }
func h(x int, y []int) int { x *= 3; return x*y[0] + int(math.Floor(1.5)) }
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := inexact(t, fset, []*ast.File{f})
	if len(got) != 5 {
		t.Errorf("found %d places, want 5: %q", len(got), got)
	}
	for i, s := range got {
		if !strings.HasPrefix(s, fmt.Sprintf("x.go:%d:", i+3)) {
			t.Errorf("place %d is %s", i, s)
		}
	}
}

// The golden tests under other instruction sets this machine can run: with and
// without fused multiply-add, and with 32-bit registers.
func TestExactAcrossBuilds(t *testing.T) {
	if os.Getenv("COCOON_LONG") == "" {
		t.Skip("compiles the package four times: set COCOON_LONG=1")
	}
	for _, env := range [][]string{
		{"GOARCH=amd64", "GOAMD64=v1"}, {"GOARCH=amd64", "GOAMD64=v3"}, {"GOARCH=amd64", "GOAMD64=v4"}, {"GOARCH=386"},
	} {
		cmd := exec.Command("go", "test", "-count=1", "-run", "^TestGolden", "-v", ".")
		cmd.Env = append(os.Environ(), append(env, "CGO_ENABLED=0")...)
		out, err := cmd.CombinedOutput()
		s := string(out)
		switch {
		case strings.Contains(s, "CPU with"), strings.Contains(s, "exec format error"): // the machine is older than this
			t.Logf("%v: cannot run here", env)
		case err != nil || strings.Count(s, "--- PASS: TestGolden") != 2:
			t.Errorf("%v: %v\n%s", env, err, s)
		}
	}
	for _, env := range [][]string{{"GOARCH=arm64"}, {"GOARCH=riscv64"}, {"GOARCH=s390x"}} { // no machine here: compile only
		cmd := exec.Command("go", "vet", ".")
		cmd.Env = append(os.Environ(), append(env, "CGO_ENABLED=0")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", env, err, out)
		}
	}
}
