//! Whole numbers as they arrive: Istio carries a configuration as a protobuf `Struct`, which turns `5` into `5.0`.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// Largest integer a JSON double carries exactly: 2^53 - 1.
pub(crate) const MAX_SAFE: u64 = (1 << 53) - 1;

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 up to the field's limit, at most 2^53 - 1")
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<T, E> {
        if v > MAX_SAFE {
            return Err(E::invalid_value(Unexpected::Unsigned(v), &self));
        }
        T::try_from(v).map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &self))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<T, E> {
        match u64::try_from(v) {
            Ok(v) => self.visit_u64(v),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(v), &self)),
        }
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<T, E> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and below 2^53"
        )]
        if v >= 0.0 && v <= MAX_SAFE as f64 && v.trunc() == v {
            self.visit_u64(v as u64)
        } else {
            Err(E::invalid_value(Unexpected::Float(v), &self))
        }
    }
}

/// Reads `5` and `5.0` alike; refuses fractions, negatives and anything from 2^53 up.
pub(crate) fn whole<'de, T: TryFrom<u64>, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    d.deserialize_any(Whole(PhantomData))
}

/// As [`whole`], for an optional field: `null` is absent.
pub(crate) fn whole_or_none<'de, T: TryFrom<u64>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    struct Maybe<T>(PhantomData<T>);
    impl<'de, T: TryFrom<u64>> Visitor<'de> for Maybe<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number or null")
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
            whole(d).map(Some)
        }
    }
    d.deserialize_option(Maybe(PhantomData))
}

/// As [`whole`], for a map of names to numbers.
pub(crate) fn whole_map<'de, D: Deserializer<'de>>(d: D) -> Result<std::collections::BTreeMap<String, u32>, D::Error> {
    struct Value(u32);
    impl<'de> serde::Deserialize<'de> for Value {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            whole(d).map(Self)
        }
    }
    let map = <std::collections::BTreeMap<String, Value> as serde::Deserialize>::deserialize(d)?;
    let mut out = std::collections::BTreeMap::new();
    for (name, value) in map {
        out.insert(name, value.0);
    }
    Ok(out)
}
