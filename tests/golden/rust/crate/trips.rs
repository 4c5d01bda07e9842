//! Messages there and back: each frame of standard input is answered by one of standard output.
//!
//! Asked: a byte for what is wanted, then name and data, each with its length in front (32 bits, little-endian).
//! Answered: `+` or `-`, and the data or why there is none, with its length in front.

use std::collections::HashMap;
use std::io::{self, BufReader, BufWriter, Read, Write};

type Trip = fn(&[u8]) -> Result<Vec<u8>, String>;

/// What can be done with a message.
pub struct Trips {
    /// From bytes to bytes.
    bytes: Trip,
    /// From bytes to JSON.
    to_json: Trip,
    /// From JSON to bytes.
    from_json: Trip,
}

/// Of a type without JSON.
#[allow(dead_code, reason = "a table has JSON for all or none")]
pub const fn of<M: buffa::Message + Clone + PartialEq + std::fmt::Debug>() -> Trips {
    Trips { bytes: bytes::<M>, to_json: no_json, from_json: no_json }
}

/// Of a type with JSON.
#[allow(dead_code, reason = "a table has JSON for all or none")]
pub const fn of_json<M>() -> Trips
where
    M: buffa::Message + Clone + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    Trips { bytes: bytes::<M>, to_json: to_json::<M>, from_json: from_json::<M> }
}

fn no_json(_: &[u8]) -> Result<Vec<u8>, String> {
    Err("JSON was not generated".into())
}

fn bytes<M: buffa::Message + Clone + PartialEq + std::fmt::Debug>(data: &[u8]) -> Result<Vec<u8>, String> {
    let message = M::decode_from_slice(data).map_err(|error| error.to_string())?;
    let again = message.encode_to_vec();
    let copy = M::decode_from_slice(&again).map_err(|error| error.to_string())?;
    // Which is not equal to itself.
    let has_nan = || format!("{message:?}").contains("NaN");
    if copy != message && !has_nan() {
        return Err(format!("not equal to itself: {message:?}, {copy:?}"));
    }
    let mut cleared = copy.clone();
    cleared.clear();
    if cleared != M::default() {
        return Err(format!("not the default after clear: {cleared:?}"));
    }
    Ok(again)
}

fn to_json<M: buffa::Message + serde::Serialize>(data: &[u8]) -> Result<Vec<u8>, String> {
    let message = M::decode_from_slice(data).map_err(|error| error.to_string())?;
    serde_json::to_vec(&message).map_err(|error| error.to_string())
}

fn from_json<M: buffa::Message + serde::de::DeserializeOwned>(data: &[u8]) -> Result<Vec<u8>, String> {
    let message: M = serde_json::from_slice(data).map_err(|error| error.to_string())?;
    Ok(message.encode_to_vec())
}

/// Answers for the messages of `table`, which are there by full name, until standard input ends.
///
/// # Errors
/// Of standard input and output.
pub fn serve(table: &[(&str, Trips)]) -> io::Result<()> {
    let table: HashMap<&str, &Trips> = table.iter().map(|(name, trips)| (*name, trips)).collect();
    let (mut input, mut output) = (BufReader::new(io::stdin().lock()), BufWriter::new(io::stdout().lock()));
    loop {
        let mut wanted = [0];
        if input.read(&mut wanted)? == 0 {
            return Ok(());
        }
        let (name, data) = (read(&mut input)?, read(&mut input)?);
        let answer = match (table.get(String::from_utf8_lossy(&name).as_ref()), wanted[0]) {
            (None, _) => Err("no such message".to_owned()),
            (Some(trips), b'b') => (trips.bytes)(&data),
            (Some(trips), b'j') => (trips.to_json)(&data),
            (Some(trips), _) => (trips.from_json)(&data),
        };
        let (sign, data) = match answer {
            Ok(data) => (b"+", data),
            Err(why) => (b"-", why.into_bytes()),
        };
        output.write_all(sign)?;
        output.write_all(&u32::try_from(data.len()).map_err(io::Error::other)?.to_le_bytes())?;
        output.write_all(&data)?;
        output.flush()?;
    }
}

fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut data = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut data)?;
    Ok(data)
}
