package logs

// The keys. One name has one meaning in the whole house; a test holds that a
// value is its name in snake case, and another that no log line has a key that
// is not here.
const (
	// Who it is about.

	Site    = "site"    // id of a site
	Sites   = "sites"   // ids of sites
	Gateway = "gateway" // id of a gateway, or of a device that has no outbox
	Sensor  = "sensor"  // id of a sensor
	Input   = "input"   // id of an input, or of a sensor that is read without one
	Network = "network" // id of a LoRaWAN network
	User    = "user"    // name of an account
	Client  = "client"  // client id of an MQTT connection
	Role    = "role"    // role of the server: broker, collector, api
	Index   = "index"   // which of several collectors this is

	// Where it is.

	Address     = "address"     // host and port, here or there
	Broker      = "broker"      // URL of the MQTT broker, without a password
	Bus         = "bus"         // URL of a Modbus bus
	Unit        = "unit"        // unit of a device on a Modbus bus
	Chip        = "chip"        // path of a GPIO chip
	Pin         = "pin"         // name of a GPIO pin
	Certificate = "certificate" // whom a certificate names
	File        = "file"        // a file on this machine
	Line        = "line"        // number of a line in a file
	Lines       = "lines"       // how many lines
	Bytes       = "bytes"       // how many
	Topic       = "topic"       // an MQTT topic
	Method      = "method"      // an HTTP method
	Path        = "path"        // the path of an HTTP request

	// What happened.

	Action   = "action"   // id of an action of staff
	Call     = "call"     // a method of the store
	Error    = "error"    // an error, as text
	Hint     = "hint"     // what to look for, or to do
	Kind     = "kind"     // kind of an event, action or message
	Panic    = "panic"    // what a goroutine panicked with
	Protocol = "protocol" // version of the MQTT protocol
	Reason   = "reason"   // which of a few reasons, in a word
	Stack    = "stack"    // the stack of a panic
	State    = "state"    // a state, in a word
	Status   = "status"   // an HTTP status
	Times    = "times"    // how often since the line before like this one
	Type     = "type"     // type of a sensor
	Part     = "part"     // part of the work of a site
	Of       = "of"       // the whole that a number is a part of

	// How many.

	Acked     = "acked"     // sequence number up to which all is stored
	Counted   = "counted"   // how much a counter has counted since its last reading
	Dropped   = "dropped"   // events that the outbox had no room for, in its epoch
	Edges     = "edges"     // edges of inputs
	Event     = "event"     // number of an event in a recording
	Events    = "events"    // events
	Epoch     = "epoch"     // epoch of an outbox
	First     = "first"     // sequence number of the first event
	Lost      = "lost"      // edges or events that nobody has any more
	AtLeast   = "at_least"  // as Lost, where there may have been more
	Missed    = "missed"    // share of vehicles that counters miss
	Usual     = "usual"     // the share that they usually miss
	Quarters  = "quarters"  // quarter hours
	Value     = "value"     // reading of a counter
	Values    = "values"    // what stands in columns, with how often
	Viewers   = "viewers"   // open websockets
	Waiting   = "waiting"   // events in the outbox
	Was       = "was"       // value before
	Is        = "is"        // value now
	Debounced = "debounced" // whether the kernel removes the bounce

	// When, and for how long.

	At        = "at"         // an instant
	Date      = "date"       // a day of the site
	From      = "from"       // begin of a span, or the state before
	Until     = "until"      // end of a span
	To        = "to"         // state, time or path afterwards
	Since     = "since"      // since when
	Noticed   = "noticed"    // when it was noticed
	LastHeard = "last_heard" // when a device was heard last
	After     = "after"      // how long had passed
	KeepAlive = "keep_alive" // what an MQTT client wants, in seconds
	AtMost    = "at_most"    // how long at most
	RetryIn   = "retry_in"   // how long until it is tried again
	Shift     = "shift"      // by how much a clock was set
	Synced    = "synced"     // whether the clock is synchronised
	NotBefore = "not_before" // a time that has certainly come
	Took      = "took"       // how long it took
)
