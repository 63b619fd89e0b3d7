//! Field types that take any JSON without failing: a value of another type counts as absent.
//! Takes what `serde_json` reads, from bytes or from a value; gives the value wanted or nothing.
//! One odd field of a provider must not cost the others of its body.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// Any value, as far as it is a scalar.
enum Scalar<'a> {
    None,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// Number of elements.
    List(u64),
    Object,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut count = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Scalar::List(count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Object)
    }
}

/// A scalar type made of [`Scalar`]: one line of meaning each.
macro_rules! scalar {
    ($(#[$doc:meta])* $name:ident($inner:ty), $from:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub(in crate::genai) struct $name(pub $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let convert: fn(Scalar<'de>) -> $inner = $from;
                deserializer.deserialize_any(ScalarVisitor).map(|scalar| Self(convert(scalar)))
            }
        }
    };
}

/// Up to here every integer has its own `f64`.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < EXACT_FLOAT).then_some(value as i64)
}

scalar!(
    /// A number of tokens or the like: 0 and above, exact; `12.0` is 12.
    Count(Option<u64>),
    |scalar| match scalar {
        Scalar::Unsigned(value) => Some(value),
        Scalar::Float(value) => whole(value).and_then(|value| u64::try_from(value).ok()),
        _ => None,
    }
);

scalar!(
    /// An integer of 64 bits, exact.
    Integer(Option<i64>),
    |scalar| match scalar {
        Scalar::Unsigned(value) => i64::try_from(value).ok(),
        Scalar::Signed(value) => Some(value),
        Scalar::Float(value) => whole(value),
        _ => None,
    }
);

scalar!(
    /// Any finite number.
    Number(Option<f64>),
    |scalar| match scalar {
        Scalar::Unsigned(value) => Some(value as f64),
        Scalar::Signed(value) => Some(value as f64),
        Scalar::Float(value) => Some(value),
        _ => None,
    }
);

scalar!(Flag(Option<bool>), |scalar| match scalar {
    Scalar::Bool(value) => Some(value),
    _ => None,
});

scalar!(
    /// A string or a list of anything is there, as an input may be given.
    Filled(bool),
    |scalar| matches!(scalar, Scalar::Text(_) | Scalar::List(_))
);

scalar!(
    /// A string, a list or an object is there.
    Sent(bool),
    |scalar| matches!(scalar, Scalar::Text(_) | Scalar::List(_) | Scalar::Object)
);

scalar!(
    /// Number of elements of a list.
    Length(Option<u64>),
    |scalar| match scalar {
        Scalar::List(count) => Some(count),
        _ => None,
    }
);

/// A string.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::genai) struct Text<'a>(pub Option<Cow<'a, str>>);

impl Text<'_> {
    pub(in crate::genai) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The string, if it is not empty.
    pub(in crate::genai) fn filled(&self) -> Option<&str> {
        self.as_str().filter(|text| !text.is_empty())
    }

    pub(in crate::genai) fn into_filled(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty()).map(Cow::into_owned)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) => Some(text),
            _ => None,
        }))
    }
}

/// A string or a number, as error codes are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::genai) struct Code(pub Option<String>);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) if !text.is_empty() => Some(text.into_owned()),
            Scalar::Unsigned(value) => Some(value.to_string()),
            Scalar::Signed(value) => Some(value.to_string()),
            _ => None,
        }))
    }
}

/// A scalar, or the same in a string: a form has nothing but strings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::genai) struct Loose<'a>(Option<Cow<'a, str>>);

impl Loose<'_> {
    pub(in crate::genai) fn read<T: FromStr>(&self) -> Option<T> {
        self.0.as_deref()?.parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) => Some(text),
            Scalar::Bool(value) => Some(value.to_string().into()),
            Scalar::Unsigned(value) => Some(value.to_string().into()),
            Scalar::Signed(value) => Some(value.to_string().into()),
            Scalar::Float(value) => Some(value.to_string().into()),
            Scalar::None | Scalar::List(_) | Scalar::Object => None,
        }))
    }
}

/// An object, a list, or neither.
struct NestedVisitor<T>(PhantomData<T>);

/// What a value of another type than the one wanted becomes: nothing.
macro_rules! absent_scalars {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

/// An object read as `T`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::genai) struct Object<T>(pub Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for NestedVisitor<Object<T>> {
    type Value = Object<T>;

    absent_scalars!();

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor(PhantomData::<Self>))
    }
}

/// A string, or an object read as `T`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::genai) enum TextOr<'a, T> {
    Text(Cow<'a, str>),
    Object(T),
    #[default]
    Neither,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for NestedVisitor<TextOr<'de, T>> {
    type Value = TextOr<'de, T>;

    absent_scalars!();

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(TextOr::Neither)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Object)
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for TextOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read: TextOr<'de, T> =
            deserializer.deserialize_any(NestedVisitor(PhantomData::<TextOr<'de, T>>))?;
        Ok(read)
    }
}

/// A string, or a list of objects read as `T`, or one of them alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::genai) enum TextOrList<'a, T> {
    Text(Cow<'a, str>),
    List(Vec<Object<T>>),
    #[default]
    Neither,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for NestedVisitor<TextOrList<'de, T>> {
    type Value = TextOrList<'de, T>;

    absent_scalars!();

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(TextOrList::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(TextOrList::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(TextOrList::List(elements))
    }

    /// One alone, without its list.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
            .map(|one| TextOrList::List(vec![Object(Some(one))]))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for TextOrList<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read: TextOrList<'de, T> =
            deserializer.deserialize_any(NestedVisitor(PhantomData::<TextOrList<'de, T>>))?;
        Ok(read)
    }
}

/// A list of objects read as `T`; elements that are none are absent but keep their place.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::genai) struct List<T>(pub Vec<Object<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> List<T> {
    pub(in crate::genai) fn into_objects(self) -> impl Iterator<Item = T> {
        self.0.into_iter().filter_map(|object| object.0)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for NestedVisitor<List<T>> {
    type Value = List<T>;

    absent_scalars!();

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(List(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(List(Vec::new()))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor(PhantomData::<Self>))
    }
}

/// A list of objects read as `T`, or one of them alone.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::genai) struct Several<T>(pub Vec<Object<T>>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Several<T> {
    pub(in crate::genai) fn into_objects(self) -> impl Iterator<Item = T> {
        self.0.into_iter().filter_map(|object| object.0)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for NestedVisitor<Several<T>> {
    type Value = Several<T>;

    absent_scalars!();

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Several::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Several(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| Several(vec![Object(Some(one))]))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor(PhantomData::<Self>))
    }
}

/// A string or a list of strings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::genai) struct Strings(pub Vec<String>);

impl<'de> Visitor<'de> for NestedVisitor<Strings> {
    type Value = Strings;

    absent_scalars!();

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Strings(vec![value.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut strings = Vec::new();
        while let Some(element) = seq.next_element::<Text<'de>>()? {
            strings.extend(element.0.map(Cow::into_owned));
        }
        Ok(Strings(strings))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Strings(Vec::new()))
    }
}

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor(PhantomData::<Self>))
    }
}
