package usageeventexporter

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RecordConfig says what a record looks like, and in which partition it is.
type RecordConfig struct {
	// CloudEvents is how a record is a CloudEvent: binary (its attributes are
	// headers), structured (its value is the whole CloudEvent) or none.
	CloudEvents string `mapstructure:"cloudevents"`
	// Source begins the source of the CloudEvents; the host.id of the machine that
	// metered follows. It is a URI reference (RFC 3986).
	Source string `mapstructure:"source"`
	// TypePrefix begins the type of the CloudEvents: a reversed DNS name.
	TypePrefix string `mapstructure:"type_prefix"`
	// RecordHeaders are put on every record, dead letters included.
	RecordHeaders map[string]string `mapstructure:"record_headers"`
	// Partitioner is murmur2 (of the key, as the Java client does) or round_robin.
	Partitioner string `mapstructure:"partitioner"`
}

const (
	cloudEventsBinary     = "binary"
	cloudEventsStructured = "structured"
	cloudEventsNone       = "none"

	partitionerMurmur2    = "murmur2"
	partitionerRoundRobin = "round_robin"

	defaultSource     = "urn:vmusage:host"
	defaultTypePrefix = "com.github.vmusage"
)

// What goes with every record has a bound, because it goes with every record.
const (
	nameLimit         = 128 // bytes of a name: a header's, an attribute's
	sourceLimit       = 512
	typePrefixLimit   = 200
	recordHeaderLimit = 16
	recordHeaderBytes = 4 << 10 // of all names and values
)

func defaultRecordConfig() RecordConfig {
	return RecordConfig{
		CloudEvents: cloudEventsBinary,
		Source:      defaultSource,
		TypePrefix:  defaultTypePrefix,
		Partitioner: partitionerMurmur2,
	}
}

var (
	// uriText is of the characters of a URI reference (RFC 3986, appendix A), its
	// query and fragment aside, which cannot be followed by a host.
	uriText = regexp.MustCompile(`^(?:[a-zA-Z0-9._~:/@!$&'()*+,;=\[\]-]|%[0-9a-fA-F]{2})+$`)
	// reversedDNS is of at least two labels.
	reversedDNS = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)+$`)
)

func (c *RecordConfig) validateRecords() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{cloudEventsBinary, cloudEventsStructured, cloudEventsNone}, c.CloudEvents) {
		fail("cloudevents is %q: use %s (headers ce_*), %s (the value is the whole CloudEvent) or %s", c.CloudEvents, cloudEventsBinary, cloudEventsStructured, cloudEventsNone)
	}
	if problem := checkSource(c.Source); problem != "" {
		fail("source is %q: %s; write a URI reference without query and fragment, such as %s or https://metering.example.com/hosts", shorten(c.Source), problem, defaultSource)
	}
	if len(c.TypePrefix) > typePrefixLimit || !reversedDNS.MatchString(c.TypePrefix) {
		fail("type_prefix is %q: write a reversed DNS name of at most %d bytes, such as %s", shorten(c.TypePrefix), typePrefixLimit, defaultTypePrefix)
	}
	if c.Partitioner != partitionerMurmur2 && c.Partitioner != partitionerRoundRobin {
		fail("partitioner is %q: use %s (all events of an instance in one partition, as the Java client chooses it) or %s", c.Partitioner, partitionerMurmur2, partitionerRoundRobin)
	}
	return errors.Join(append(errs, c.validateHeaders())...)
}

func checkSource(source string) string {
	switch {
	case source == "":
		return "it is empty"
	case len(source) > sourceLimit:
		return fmt.Sprintf("it has %d bytes, %d are the most", len(source), sourceLimit)
	case !uriText.MatchString(source):
		return "it has characters that a URI has not, or not there"
	}
	if _, err := url.Parse(source); err != nil {
		return "it is no URI reference"
	}
	return ""
}

func (c *RecordConfig) validateHeaders() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if n := len(c.RecordHeaders); n > recordHeaderLimit {
		fail("record_headers has %d headers: %d are the most, because every record has them", n, recordHeaderLimit)
	}
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(c.RecordHeaders)) {
		value := c.RecordHeaders[name]
		bytes += len(name) + len(value)
		if problem := checkText(name, nameLimit); problem != "" {
			fail("record_headers has %q: %s; name it such as x-region", shorten(name), problem)
		} else if reserved(name) {
			fail("record_headers has %q: the exporter writes such headers itself (event-id, content-type, ce_*, dlq-*); name it otherwise, such as x-%s", name, name)
		}
		if !utf8.ValidString(value) {
			fail("record_headers::%s is %q: it is not UTF-8; write text", shorten(name), shorten(value))
		}
	}
	if bytes > recordHeaderBytes {
		fail("record_headers has %d bytes in names and values: %d are the most, because every record has them", bytes, recordHeaderBytes)
	}
	return errors.Join(errs...)
}

// reserved reports whether the exporter or its readers give a header a meaning,
// in whatever case it is written.
func reserved(header string) bool {
	header = strings.ToLower(header)
	return header == headerEventID || header == headerContentType ||
		strings.HasPrefix(header, cloudEventsPrefix) || strings.HasPrefix(header, letterPrefix)
}

// checkText says what is wrong with a name.
func checkText(name string, most int) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > most:
		return fmt.Sprintf("it has %d bytes, %d are the most", len(name), most)
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return "it has a space or a control character"
	default:
		return ""
	}
}

// shorten returns what of a value an error shows.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
