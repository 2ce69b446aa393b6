package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	maxText  = 1 << 20 // bytes of one file
	maxDepth = 32      // nesting of a file
	maxNodes = 200_000 // values of a file, aliases counted each time
)

// defaulter is implemented by elements of lists and optional blocks: they get
// their defaults when they appear.
type defaulter interface{ setDefaults() }

// A decoder walks the syntax tree and fills Go values. The library's own
// strict decoding stops at the first fault; a person who writes a file wants
// all of them, with the line of each.
type decoder struct {
	lines   map[string]int // path → line
	faults  []Fault
	bad     map[string]bool // paths that were not decoded
	anchors map[string]ast.Node
	nodes   int
}

// decode reads text into the struct that v points to, which already holds the
// defaults. The decoder's lines serve validation.
func decode(text []byte, v any) *decoder {
	d := &decoder{lines: map[string]int{}, bad: map[string]bool{}, anchors: map[string]ast.Node{}}
	if len(text) > maxText {
		d.fault(0, "", "the text is %d bytes long: want at most %d", len(text), maxText)
		return d
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		line, message := 0, err.Error()
		var ye yaml.Error
		if errors.As(err, &ye) {
			// The library's own text quotes the lines around, secrets included.
			message = ye.GetMessage()
			if t := ye.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		d.fault(line, "", "not YAML: %s", message)
		return d
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.fault(lineOf(doc.Body), "", "a second document begins here: want one a file")
			return d
		}
		body = doc.Body
	}
	if body == nil {
		return d // all defaults; validation says what is missing
	}
	d.value(body, reflect.ValueOf(v).Elem(), "", 0)
	return d
}

// fault notes that path could not be decoded.
func (d *decoder) fault(line int, path, format string, args ...any) {
	d.bad[path] = true
	d.faults = append(d.faults, Fault{Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// all adds the faults of validation to those of decoding, except about what
// could not be decoded: one fault is enough.
func (d *decoder) all(validation []Fault) []Fault {
	for _, f := range validation {
		hidden := d.bad[""]
		for at := f.Path; at != "" && !hidden; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
			hidden = d.bad[at]
		}
		if !hidden {
			d.faults = append(d.faults, f)
		}
	}
	return d.faults
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// value decodes n into v. A null leaves v as it is, so that an empty key means
// the default.
func (d *decoder) value(n ast.Node, v reflect.Value, path string, depth int) {
	n, ok := d.resolve(n, path, depth)
	if !ok {
		return
	}
	if line := lineOf(n); d.lines[path] == 0 {
		d.lines[path] = line
	}
	if _, null := n.(*ast.NullNode); null {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			setDefaults(fresh)
			v.Set(fresh)
		}
		d.value(n, v.Elem(), path, depth+1)
		return
	}
	if _, isText := v.Addr().Interface().(encoding.TextUnmarshaler); isText {
		d.scalar(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path, depth)
	case reflect.Map:
		d.mapping(n, v, path, depth)
	case reflect.Slice:
		d.list(n, v, path, depth)
	default:
		d.scalar(n, v, path)
	}
}

// resolve takes off anchors, follows aliases and keeps the limits.
func (d *decoder) resolve(n ast.Node, path string, depth int) (ast.Node, bool) {
	line := lineOf(n)
	if d.nodes++; d.nodes > maxNodes || depth > maxDepth {
		if d.nodes == maxNodes+1 || depth == maxDepth+1 {
			d.fault(line, path, "too many or too deeply nested values")
		}
		return nil, false
	}
	for range maxDepth {
		switch t := n.(type) {
		case *ast.AnchorNode:
			if t.Name != nil {
				d.anchors[t.Name.GetToken().Value] = t.Value
			}
			n = t.Value
		case *ast.AliasNode:
			name := t.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok {
				d.fault(line, path, "alias *%s: want an anchor &%s above it", name, name)
				return nil, false
			}
			n = target
		case *ast.TagNode:
			d.fault(line, path, "tag %s: want the value without a tag", t.Start.Value)
			return nil, false
		case nil:
			d.fault(line, path, "is empty")
			return nil, false
		default:
			return n, true
		}
	}
	d.fault(line, path, "an alias that refers to itself")
	return nil, false
}

// pairs lists the keys and values of a mapping; ok is false when n is none.
func pairs(n ast.Node) (values []*ast.MappingValueNode, ok bool) {
	switch t := n.(type) {
	case *ast.MappingNode:
		return t.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{t}, true
	}
	return nil, false
}

func keyText(k ast.Node) (string, bool) {
	if m, ok := k.(*ast.MappingKeyNode); ok {
		k = m.Value
	}
	if _, merge := k.(*ast.MergeKeyNode); merge || k == nil {
		return "", false
	}
	return scalarText(k)
}

// scalarText is a scalar as it was written, without quotes.
func scalarText(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.NullNode:
		if tok := t.GetToken(); tok != nil {
			return tok.Value, true
		}
	}
	return "", false
}

// kindOf names what was found where something else was wanted.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a block of keys"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// A field is a struct field as files name it.
type field struct {
	name  string
	index int
}

// fields lists the fields of a struct that files may name.
func fields(t reflect.Type) []field {
	out := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			out = append(out, field{name, i})
		}
	}
	return out
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (d *decoder) structure(n ast.Node, v reflect.Value, path string, depth int) {
	values, ok := pairs(n)
	if !ok {
		d.fault(lineOf(n), path, "is %s: want a block of keys", kindOf(n))
		return
	}
	known := fields(v.Type())
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	seen := map[string]bool{}
	for _, pair := range values {
		line := lineOf(pair.Key)
		key, ok := keyText(pair.Key)
		if !ok {
			d.fault(line, path, "a key that is not a word: want one of %s", orList(names))
			continue
		}
		i := -1
		for _, f := range known {
			if f.name == key {
				i = f.index
			}
		}
		switch {
		case i < 0:
			hint, meant := "want one of "+orList(names), nearest(key, names)
			if meant != "" {
				hint = "did you mean " + strconv.Quote(meant) + "?"
				d.bad[join(path, meant)] = true
			}
			d.faults = append(d.faults, Fault{line, path, fmt.Sprintf("unknown key %s: %s", quote(key), hint)})
		case seen[key]:
			d.fault(line, join(path, key), "is given twice")
		default:
			seen[key] = true
			d.lines[join(path, key)] = line
			d.value(pair.Value, v.Field(i), join(path, key), depth+1)
		}
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, depth int) {
	values, ok := pairs(n)
	if !ok {
		d.fault(lineOf(n), path, "is %s: want a block of keys", kindOf(n))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(values)))
	for _, pair := range values {
		line := lineOf(pair.Key)
		text, ok := keyText(pair.Key)
		if !ok {
			d.fault(line, path, "a key that is not a word")
			continue
		}
		key := reflect.New(v.Type().Key()).Elem()
		at := join(path, text)
		if !d.text(line, key, path, text) {
			continue
		}
		if v.MapIndex(key).IsValid() {
			d.fault(line, at, "is given twice")
			continue
		}
		d.lines[at] = line
		elem := reflect.New(v.Type().Elem())
		setDefaults(elem)
		d.value(pair.Value, elem.Elem(), at, depth+1)
		v.SetMapIndex(key, elem.Elem())
	}
}

func (d *decoder) list(n ast.Node, v reflect.Value, path string, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fault(lineOf(n), path, "is %s: want a list, like [a, b]", kindOf(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(seq.Values))
	for i, item := range seq.Values {
		elem := reflect.New(v.Type().Elem())
		setDefaults(elem)
		d.value(item, elem.Elem(), fmt.Sprintf("%s[%d]", path, i), depth+1)
		out = reflect.Append(out, elem.Elem())
	}
	v.Set(out)
}

func setDefaults(pointer reflect.Value) {
	if s, ok := pointer.Interface().(defaulter); ok {
		s.setDefaults()
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	text, ok := scalarText(n)
	if !ok {
		d.fault(lineOf(n), path, "is %s: want %s", kindOf(n), wanted(v.Type()))
		return
	}
	d.text(lineOf(n), v, path, text)
}

// text sets v from a scalar's text and says whether it could.
func (d *decoder) text(line int, v reflect.Value, path, text string) bool {
	shown := quote(text)
	if v.Type() == reflect.TypeFor[Secret]() {
		shown = redacted
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			d.fault(line, path, "%s: %v", shown, err)
			return false
		}
		return true
	}
	if c, ok := v.Interface().(choices); ok {
		if m := choiceFault(text, c.Choices()); m != "" {
			d.fault(line, path, "%s", m)
			return false
		}
	}
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		switch text {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			err = errWant("true or false")
		}
	case reflect.Int:
		var i int
		if i, err = strconv.Atoi(text); err == nil {
			v.SetInt(int64(i))
		}
	case reflect.Uint64:
		var u uint64
		if u, err = strconv.ParseUint(text, 10, 64); err == nil {
			v.SetUint(u)
		}
	case reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(text, 64); err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = strconv.ErrRange
		}
		if err == nil {
			v.SetFloat(f)
		}
	default:
		panic("config: no decoding for " + v.Type().String())
	}
	if err != nil {
		d.fault(line, path, "%s: want %s", shown, wanted(v.Type()))
		return false
	}
	return true
}

// wanted says in words what a type holds.
func wanted(t reflect.Type) string {
	if u, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte("\x00")); err != nil {
			return strings.TrimPrefix(err.Error(), "want ")
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "a text"
}

func choiceFault(text string, words []string) string {
	for _, w := range words {
		if w == text {
			return ""
		}
	}
	m := quote(text) + ": want " + orList(words)
	if near := nearest(text, words); near != "" {
		m = quote(text) + ": did you mean " + strconv.Quote(near) + "? Want " + orList(words)
	}
	return m
}
