package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// CreateLog creates the file for a child's output, with its directory. What an
// earlier run left there is kept beside it, with ".old" added, and what was
// under that name is replaced.
func CreateLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create log directory: %w", err)
	}
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keep the last log: %w", err)
	}
	// Appending, so that two writers (the child's stdout and stderr) and a log
	// truncated from outside do not overwrite each other.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	return f, nil
}

// LastLines returns the last n lines of a file, or fewer where these are longer
// than 16 KiB together. It says so in a line where the file cannot be read.
func LastLines(path string, n int) []string {
	const most = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return []string{err.Error()}
	}
	from := max(info.Size()-most, 0)
	data, err := io.ReadAll(io.NewSectionReader(f, from, most))
	if err != nil {
		return []string{err.Error()}
	}
	text := string(data)
	if from > 0 {
		_, text, _ = strings.Cut(text, "\n") // the first one is cut off
	}
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(len(lines)-n, 0):]
}
