//! Protobuf messages as the JSON that the same API speaks over REST.
//! Takes the bytes of one message and a table of its fields; gives a JSON value.
//! So one reader of a format serves both wires. Fields that no table names are skipped.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Number, Value};

/// Largest message that is read: what gRPC's implementations take unless told otherwise.
pub(super) const MAX_MESSAGE: usize = 4 << 20;

/// Nesting that is followed; what lies deeper is left out.
const MAX_DEPTH: usize = 64;

/// Weight of the values below the message itself. What passes it is left out, so that four bytes of an
/// empty message in a list are not answered with a kilobyte. It is more than `json` keeps of a value,
/// which tells where it left something out.
const MAX_WEIGHT: usize = 4 << 20;

/// Weight of a value, and of one that has members: about what they take in memory.
const NODE: usize = 64;
const OBJECT: usize = 640;

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub number: u64,
    /// Its name in JSON. What stands before a `/` is an object that REST has around it.
    pub name: &'static str,
    pub kind: Kind,
    pub repeated: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// In base64, as JSON has it.
    Bytes,
    Int,
    Bool,
    Float,
    /// By its number's name; 0 is "not told". A number without a name stays one.
    Enum(&'static [(u64, &'static str)]),
    Message(&'static [Field]),
    /// `google.protobuf.Struct`: any object.
    Struct,
    /// `google.protobuf.Value`: anything.
    Value,
}

pub(super) const fn one(number: u64, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false }
}

pub(super) const fn many(number: u64, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: true }
}

/// The messages of one call.
#[derive(Debug)]
pub(super) struct Schema {
    pub request: &'static [Field],
    pub response: &'static [Field],
}

/// The bytes are no message, or end within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Protobuf message")]
pub(super) struct Malformed;

/// Bytes of one message as they come.
#[derive(Debug, Default)]
pub(super) struct Collector {
    bytes: Vec<u8>,
    /// It is larger than what is read, or bytes of it are missing.
    lost: bool,
}

impl Collector {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.lost || self.bytes.len() + bytes.len() > MAX_MESSAGE {
            self.lose();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Bytes of the message are missing.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.bytes = Vec::new();
    }

    /// The message is over: its bytes, if they are all there. The next may begin.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let Self { bytes, lost } = std::mem::take(self);
        (!lost).then_some(bytes)
    }
}

/// Reads one whole message.
///
/// # Errors
/// [`Malformed`] where the bytes are none.
pub(super) fn read(bytes: &[u8], fields: &[Field]) -> Result<Value, Malformed> {
    message(bytes, fields, 0, &mut Room(MAX_WEIGHT)).map(Value::Object)
}

fn weight(kind: Kind) -> usize {
    match kind {
        Kind::Message(_) | Kind::Struct => OBJECT,
        _ => NODE,
    }
}

/// Weight that is left for values.
struct Room(usize);

impl Room {
    /// False where a value of that weight has no room.
    fn take(&mut self, weight: usize) -> bool {
        let left = self.0.checked_sub(weight);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// What stands behind a field's number, by the wire's own types.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

fn message(
    mut bytes: &[u8],
    fields: &[Field],
    depth: usize,
    room: &mut Room,
) -> Result<Map<String, Value>, Malformed> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = field(&mut bytes)?;
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        let (target, name) = match field.name.split_once('/') {
            Some((outer, name)) => {
                let inner = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(inner) = inner else { continue };
                (inner, name)
            }
            None => (&mut object, field.name),
        };
        if !field.repeated {
            // The message's own members are few, however often they come: the last of each counts.
            let has_room = depth == 0 || room.take(weight(field.kind));
            if has_room && let Some(value) = value(field.kind, wire, depth, room)? {
                target.insert(name.to_owned(), value);
            }
            continue;
        }
        let list = target.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(list) = list else { continue };
        match (field.kind, wire) {
            // Numbers of a list are packed into one run of bytes.
            (Kind::Int | Kind::Bool | Kind::Enum(_), Wire::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    let wire = Wire::Varint(varint(&mut packed)?);
                    if !room.take(NODE) {
                        break;
                    }
                    list.extend(value(field.kind, wire, depth, room)?);
                }
            }
            _ if room.take(weight(field.kind)) => {
                list.extend(value(field.kind, wire, depth, room)?);
            }
            _ => {}
        }
    }
    Ok(object)
}

/// `None` where the wire's type is not the one that the table names, or too deep.
fn value(
    kind: Kind,
    wire: Wire<'_>,
    depth: usize,
    room: &mut Room,
) -> Result<Option<Value>, Malformed> {
    Ok(match (kind, wire) {
        (Kind::Text, Wire::Bytes(text)) => Some(String::from_utf8_lossy(text).into()),
        (Kind::Bytes, Wire::Bytes(bytes)) => Some(BASE64_STANDARD.encode(bytes).into()),
        (Kind::Int, Wire::Varint(number)) => Some(number.cast_signed().into()),
        (Kind::Bool, Wire::Varint(number)) => Some((number != 0).into()),
        (Kind::Float, Wire::Fixed32(bits)) => float(f32::from_bits(bits)),
        (Kind::Enum(_), Wire::Varint(0)) => None,
        (Kind::Enum(names), Wire::Varint(number)) => {
            let name = names.iter().find(|(known, _)| *known == number);
            Some(name.map_or_else(|| number.to_string().into(), |(_, name)| (*name).into()))
        }
        (_, Wire::Bytes(_)) if depth >= MAX_DEPTH => None,
        (Kind::Message(fields), Wire::Bytes(bytes)) => {
            Some(Value::Object(message(bytes, fields, depth + 1, room)?))
        }
        (Kind::Struct, Wire::Bytes(bytes)) => Some(any_object(bytes, depth + 1, room)?),
        (Kind::Value, Wire::Bytes(bytes)) => Some(any(bytes, depth + 1, room)?),
        _ => None,
    })
}

/// The shortest decimal that is this number, as the JSON mapping has it: 0.1 and not 0.10000000149….
fn float(number: f32) -> Option<Value> {
    let shortest = number.to_string().parse().ok()?;
    Number::from_f64(shortest).map(Value::Number)
}

/// `google.protobuf.Struct`: `map<string, Value> fields = 1`.
fn any_object(mut bytes: &[u8], depth: usize, room: &mut Room) -> Result<Value, Malformed> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let (1, Wire::Bytes(mut entry)) = field(&mut bytes)? else { continue };
        let (mut key, mut value) = (String::new(), Value::Null);
        while !entry.is_empty() {
            match field(&mut entry)? {
                (1, Wire::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
                (2, Wire::Bytes(bytes)) if depth < MAX_DEPTH => {
                    value = any(bytes, depth + 1, room)?;
                }
                _ => {}
            }
        }
        if room.take(OBJECT) {
            object.insert(key, value);
        }
    }
    Ok(Value::Object(object))
}

/// `google.protobuf.Value`: null, number, string, bool, struct or list, by the field's number.
fn any(mut bytes: &[u8], depth: usize, room: &mut Room) -> Result<Value, Malformed> {
    let mut found = Value::Null;
    while !bytes.is_empty() {
        found = match field(&mut bytes)? {
            (2, Wire::Fixed64(bits)) => whole_or_double(f64::from_bits(bits)),
            (3, Wire::Bytes(text)) => String::from_utf8_lossy(text).into(),
            (4, Wire::Varint(number)) => (number != 0).into(),
            (5 | 6, _) if depth >= MAX_DEPTH => Value::Null,
            (5, Wire::Bytes(bytes)) => any_object(bytes, depth + 1, room)?,
            (6, Wire::Bytes(bytes)) => any_list(bytes, depth + 1, room)?,
            _ => Value::Null,
        };
    }
    Ok(found)
}

/// `google.protobuf.ListValue`: `repeated Value values = 1`.
fn any_list(mut bytes: &[u8], depth: usize, room: &mut Room) -> Result<Value, Malformed> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        if let (1, Wire::Bytes(bytes)) = field(&mut bytes)?
            && depth < MAX_DEPTH
            && room.take(NODE)
        {
            list.push(any(bytes, depth + 1, room)?);
        }
    }
    Ok(Value::Array(list))
}

/// Every number of a `Value` is a double; JSON writes a whole one without a point.
fn whole_or_double(number: f64) -> Value {
    /// Up to here every integer has its own double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Number and contents of the next field.
fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u64, Wire<'a>), Malformed> {
    let key = varint(bytes)?;
    let wire = match key & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => {
            let (fixed, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
            *bytes = rest;
            Wire::Fixed64(u64::from_le_bytes(*fixed))
        }
        2 => {
            let len = usize::try_from(varint(bytes)?).map_err(|_| Malformed)?;
            let (inner, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
            *bytes = rest;
            Wire::Bytes(inner)
        }
        5 => {
            let (fixed, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
            *bytes = rest;
            Wire::Fixed32(u32::from_le_bytes(*fixed))
        }
        // Groups are of proto2, and no API here has them.
        _ => return Err(Malformed),
    };
    Ok((key >> 3, wire))
}

/// Seven bits a byte, the lowest first; ten bytes at most.
fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests;
