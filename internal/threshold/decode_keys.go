package threshold

import "strings"

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// topOf returns the rule's own key that a path begins with.
func topOf(path string) string {
	key, _, _ := strings.Cut(path, ".")
	key, _, _ = strings.Cut(key, "[")
	return key
}
