package validate

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Claims decodes the token's claims into what dst points to: a struct with the json tags of
// encoding/json, a map with string keys, an any, or a json.RawMessage, which gets the payload as it
// was signed. Unlike encoding/json it compares names exactly, so that SUB is never taken for sub,
// refuses numbers that do not fit, and gives numbers in an any as json.Number. Members that dst has
// no place for are ignored. Errors name the member and never its value.
func (t *Token) Claims(dst any) error {
	return decode([]byte(t.payload), dst, "claims")
}

// decode reads a sound JSON text into what dst points to; name is what errors call it.
func decode(text []byte, dst any, name string) error {
	to := reflect.ValueOf(dst)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return errors.New("validate: claims need a pointer that is not nil")
	}
	d := decoder{}
	d.reset(text, false)
	d.space()
	if err := d.value(to.Elem(), name); err != nil {
		return fmt.Errorf("validate: decoding %w", err)
	}
	return nil
}

// decoder fills Go values from a text that the scanner has already found sound.
type decoder struct{ scanner }

func (d *decoder) value(to reflect.Value, path string) error {
	if u, ok := to.Addr().Interface().(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON(d.raw()); err != nil {
			return fmt.Errorf("%s: its own decoder refused it", path)
		}
		return nil
	}
	if d.peek() == 'n' {
		d.skip()
		to.SetZero()
		return nil
	}
	if to.Type() == reflect.TypeFor[json.Number]() && d.peek() != '"' {
		return d.number(to, path)
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return d.value(to.Elem(), path)
	case reflect.Interface:
		return d.anything(to, path)
	case reflect.Struct:
		return d.structure(to, path)
	case reflect.Map:
		return d.mapping(to, path)
	case reflect.Slice:
		return d.slice(to, path)
	case reflect.String, reflect.Bool:
		return d.scalar(to, path)
	}
	return d.number(to, path)
}

func (d *decoder) scalar(to reflect.Value, path string) error {
	c := d.peek()
	switch {
	case to.Kind() == reflect.String && c == '"':
		to.SetString(string(d.text().b))
	case to.Kind() == reflect.Bool && (c == 't' || c == 'f'):
		d.skip()
		to.SetBool(c == 't')
	default:
		return mismatch(to, path)
	}
	return nil
}

func mismatch(to reflect.Value, path string) error {
	return fmt.Errorf("%s: it does not fit into %s", path, to.Type())
}

// number reads a JSON number into any numeric kind, exactly or not at all.
func (d *decoder) number(to reflect.Value, path string) error {
	if c := d.peek(); c != '-' && c-'0' > 9 {
		return mismatch(to, path)
	}
	text := string(d.scanner.number())
	var err error
	switch {
	case to.CanInt():
		var n int64
		if n, err = strconv.ParseInt(text, 10, to.Type().Bits()); err == nil {
			to.SetInt(n)
		}
	case to.CanUint():
		var n uint64
		if n, err = strconv.ParseUint(text, 10, to.Type().Bits()); err == nil {
			to.SetUint(n)
		}
	case to.CanFloat():
		var n float64
		if n, err = strconv.ParseFloat(text, to.Type().Bits()); err == nil {
			to.SetFloat(n)
		}
	case to.Kind() == reflect.String: // json.Number
		to.SetString(text)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil {
		return mismatch(to, path)
	}
	return nil
}

func (d *decoder) anything(to reflect.Value, path string) error {
	if to.NumMethod() > 0 {
		return mismatch(to, path)
	}
	var v reflect.Value
	switch d.peek() {
	case '{':
		v = reflect.New(reflect.TypeFor[map[string]any]())
	case '[':
		v = reflect.New(reflect.TypeFor[[]any]())
	case '"':
		v = reflect.New(reflect.TypeFor[string]())
	case 't', 'f':
		v = reflect.New(reflect.TypeFor[bool]())
	default:
		v = reflect.New(reflect.TypeFor[json.Number]())
	}
	if err := d.value(v.Elem(), path); err != nil {
		return err
	}
	to.Set(v.Elem())
	return nil
}

func (d *decoder) structure(to reflect.Value, path string) error {
	if d.peek() != '{' {
		return mismatch(to, path)
	}
	for o := d.object(); d.member(&o); {
		name := string(o.name)
		field := fieldNamed(to, name)
		if !field.IsValid() {
			d.skip()
			continue
		}
		if err := d.value(field, path+"."+name); err != nil {
			return err
		}
	}
	return nil
}

// fieldNamed finds the exported field of exactly this JSON name; structs that are embedded without
// a name of their own are looked into.
func fieldNamed(to reflect.Value, name string) reflect.Value {
	for i := range to.NumField() {
		f := to.Type().Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct {
			if inner := fieldNamed(to.Field(i), name); inner.IsValid() {
				return inner
			}
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		if f.IsExported() && tag == name && f.Tag.Get("json") != "-" {
			return to.Field(i)
		}
	}
	return reflect.Value{}
}

func (d *decoder) mapping(to reflect.Value, path string) error {
	if d.peek() != '{' || to.Type().Key().Kind() != reflect.String {
		return mismatch(to, path)
	}
	m := reflect.MakeMap(to.Type())
	for o := d.object(); d.member(&o); {
		name := string(o.name)
		v := reflect.New(to.Type().Elem()).Elem()
		if err := d.value(v, path+"."+name); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(to.Type().Key()), v)
	}
	to.Set(m)
	return nil
}

func (d *decoder) slice(to reflect.Value, path string) error {
	if d.peek() != '[' {
		return mismatch(to, path)
	}
	list := reflect.MakeSlice(to.Type(), 0, 0)
	for a := d.array(); d.element(&a); {
		v := reflect.New(to.Type().Elem()).Elem()
		if err := d.value(v, fmt.Sprintf("%s[%d]", path, list.Len())); err != nil {
			return err
		}
		list = reflect.Append(list, v)
	}
	to.Set(list)
	return nil
}
