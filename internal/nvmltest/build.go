package nvmltest

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/nvmlstub/*.c testdata/nvmlstub/*.h
var sources embed.FS

// LibraryName is what programs look for.
const LibraryName = "libnvidia-ml.so.1"

// ErrNoCompiler says that the stub cannot be built on this machine.
var ErrNoCompiler = errors.New("no C compiler: neither $CC nor cc is there")

// Library returns the path of the stub, which is built where it is not yet. It
// skips the test where there is no C compiler.
func Library(tb testing.TB) string {
	tb.Helper()
	dir, err := cacheDir()
	if err != nil {
		dir = tb.TempDir()
	}
	path, err := Build(dir)
	switch {
	case errors.Is(err, ErrNoCompiler):
		tb.Skipf("SKIPPED, NOTHING OF NVML IS TESTED: %v", err)
	case err != nil:
		tb.Fatal(err)
	}
	return path
}

// Build compiles the stub into a folder below dir that is named after its
// sources, unless it is there already, and returns its path. The library does not
// have the functions in without, by their full names: so older drivers look.
func Build(dir string, without ...string) (string, error) {
	cc, err := compiler()
	if err != nil {
		return "", err
	}
	arguments := flags(without)
	sum, err := checksum(cc, append(slices.Clone(arguments), without...))
	if err != nil {
		return "", err
	}
	home := filepath.Join(dir, sum)
	path := filepath.Join(home, LibraryName)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(home, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, sources); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(work, "testdata", "nvmlstub", "*.c"))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(work, "exports"), []byte(exports(without)), 0o600); err != nil {
		return "", err
	}
	c := exec.Command(cc, append(slices.Concat(arguments, files), "-lpthread", "-ldl")...)
	c.Dir = work
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", c, err, out)
	}
	// Whoever builds the same at the same time makes the same.
	return path, os.Rename(filepath.Join(work, LibraryName), path)
}

func compiler() (string, error) {
	if cc := os.Getenv("CC"); cc != "" {
		return cc, nil
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", ErrNoCompiler
	}
	return cc, nil
}

func flags(without []string) []string {
	f := strings.Fields("-std=gnu11 -O1 -shared -fPIC -Wall -Wextra -Werror -fvisibility=hidden -Wl,-z,defs -o " + LibraryName)
	if len(without) > 0 {
		f = append(f, "-Wl,--version-script=exports")
	}
	return f
}

// exports is a version script that hides some functions.
func exports(without []string) string {
	var b strings.Builder
	b.WriteString("{ global: nvml*; local: *; ")
	for _, f := range without {
		b.WriteString(f + "; ")
	}
	b.WriteString("};\n")
	return b.String()
}

// checksum is of all that the library is made from.
func checksum(cc string, arguments []string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, cc, arguments)
	err := fs.WalkDir(sources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := sources.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "vmusage-nvmlstub")
	return dir, os.MkdirAll(dir, 0o700)
}
