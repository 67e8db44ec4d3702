package usage

const (
	// ThresholdPrefix begins the names of the metrics about thresholds.
	ThresholdPrefix = "vm.threshold."
	// MetricThresholdState is the gauge of where an instance stands with each
	// rule: the number of a [ThresholdLevel].
	MetricThresholdState = ThresholdPrefix + "state"
	// MetricViolation is the gauge that has a point only when there is something
	// to say; the point's value is what was measured.
	MetricViolation = ThresholdPrefix + "violation"

	// AttrRuleID is the rule's id, on the points of both.
	AttrRuleID = "threshold.rule.id"
	// AttrSeries is what tells the points of a metric apart, on the points of both;
	// only where there is such a thing.
	AttrSeries = "threshold.series"
)

// violationVersion is the version of the point's attributes. A later one may
// only add, and readers pass over what they do not know; what changes the
// meaning of any of them has another number.
const violationVersion = 1

// Point attributes of vm.threshold.violation.
const (
	attrViolationVersion = "threshold.version"    // int
	attrViolationID      = "threshold.id"         // string: UUID
	attrEpisode          = "threshold.episode"    // string: UUID
	attrState            = "threshold.state"      // string
	attrStateReason      = "threshold.reason"     // string, only when there is one
	attrLevel            = "threshold.level"      // string
	attrThreshold        = "threshold.value"      // double
	attrRatio            = "threshold.ratio"      // double
	attrSince            = "threshold.since"      // int: unix ns
	attrCount            = "threshold.count"      // int
	attrSuppressed       = "threshold.suppressed" // int, only above 0
	attrLimit            = "threshold.limit"      // double, only when known
	attrWindowStart      = "threshold.window.start"
	attrWindowEnd        = "threshold.window.end" // int: unix ns, only with a window

	attrRuleDescription = "threshold.rule.description" // string, only when there is one; as are those below
	attrRuleResource    = "threshold.rule.resource"
	attrRuleMetric      = "threshold.rule.metric"
	attrRuleType        = "threshold.rule.type" // always
	attrRuleUnit        = "threshold.rule.unit"
	attrRuleDirection   = "threshold.rule.direction" // always
	attrRuleWarning     = "threshold.rule.warning"   // double, only when there is one
	attrRuleCritical    = "threshold.rule.critical"
	attrRuleClear       = "threshold.rule.clear"
	attrRuleWindow      = "threshold.rule.window"
	attrRuleTimezone    = "threshold.rule.timezone"
	attrRulePer         = "threshold.rule.per" // always
	attrRuleAction      = "threshold.rule.action"
	attrRuleChannels    = "threshold.rule.channels" // slice of strings, only when there are any
	attrRuleLabels      = "threshold.rule.labels"   // map to strings, only when there are any
)
