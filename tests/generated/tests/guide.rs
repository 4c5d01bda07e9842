//! What docs/guide/rust-messages.md shows: its Rust is what stands here between `// guide` and `// end`.

use std::error::Error;

use buffa::{EnumValue, Enumeration, ExtensionSet, Message, MessageField};
use buffa_types::google::protobuf::{Any, Timestamp};
use farcall_generated::chosen::lending::{Loan, Member, Standing, loan};
use farcall_generated::proto::library::v1::{Binding, Book, Copy, Genre, NOTE, Shelf, book};

#[test]
fn fields() -> Result<(), Box<dyn Error>> {
    // guide
    let mut book = Book {
        title: "Momo".to_owned(), // no presence: a plain value
        pages: Some(304),         // presence: an `Option`
        shelf: MessageField::some(Shelf { number: Some(7), ..Default::default() }),
        authors: vec!["Michael Ende".to_owned()],
        r#type: Some("paperback".to_owned()), // a keyword in Rust
        ..Default::default()
    };
    book.ratings.insert("me".to_owned(), 5);
    let book = book.with_cover(*b"\x89PNG").with_genre(Genre::Novel);

    assert_eq!(book.shelf.number, Some(7)); // reading through a message that is not there gives defaults
    assert!(book.shelf.above.is_unset());
    assert_eq!(book.shelf.above.number, None);
    if let Some(shelf) = book.shelf.as_option() {
        assert_eq!(shelf.number, Some(7));
    }

    let bytes = book.encode_to_vec();
    assert_eq!(Book::decode_from_slice(&bytes)?, book);
    // end
    Ok(())
}

#[test]
fn oneofs() {
    // guide
    let mut lent = Book { place: Some(book::Place::Borrower("Beppo".to_owned())), ..Default::default() };
    match &lent.place {
        Some(book::Place::Borrower(name)) => assert_eq!(name, "Beppo"),
        Some(book::Place::ReturnedTo(shelf)) => assert_eq!(shelf.number, Some(7)),
        None => {}
    }
    // Variants that are messages are boxed, and made of messages by `into`.
    lent.place = Some(Shelf { number: Some(7), ..Default::default() }.into());
    // end
    assert!(matches!(lent.place, Some(book::Place::ReturnedTo(shelf)) if shelf.number == Some(7)));
}

#[test]
fn enums() -> Result<(), Box<dyn Error>> {
    // guide
    // An open enum: a number that the enum does not have is kept.
    let book = Book { genre: Some(EnumValue::Unknown(9)), ..Default::default() };
    match book.genre.map(|genre| (genre, genre.as_known())) {
        Some((_, Some(Genre::GENRE_NOVEL))) => println!("a novel"),
        Some((genre, None)) => println!("number {}", genre.to_i32()),
        _ => println!("not said"),
    }
    assert_eq!(Book::decode_from_slice(&book.encode_to_vec())?.genre, Some(EnumValue::Unknown(9)));

    // A closed one (proto2's): such a number is an unknown field.
    let copy = Copy { binding: Some(Binding::Cloth), ..Default::default() };
    assert_eq!(copy.binding.map(|binding| binding.proto_name()), Some("BINDING_CLOTH"));
    let stranger = Copy::decode_from_slice(&[8, 9])?;
    assert_eq!(stranger.binding, None);
    assert_eq!(stranger.encode_to_vec(), [8, 9]);
    // end
    Ok(())
}

#[test]
fn extensions() {
    // guide
    let mut book = Book::default();
    book.set_extension(&NOTE, "a present".to_owned());
    assert_eq!(book.extension(&NOTE).as_deref(), Some("a present"));
    // end
}

#[test]
fn well_known_types() -> Result<(), Box<dyn Error>> {
    // guide
    let when = Timestamp::from(std::time::SystemTime::UNIX_EPOCH);
    let shelf = Shelf { number: Some(7), ..Default::default() };
    let book = Book {
        bought: MessageField::some(when),
        extra: MessageField::some(Any::pack(&shelf, Shelf::TYPE_URL)),
        ..Default::default()
    };
    let unpacked: Option<Shelf> = book.extra.unpack_if(Shelf::TYPE_URL)?;
    assert_eq!(unpacked, Some(shelf));
    // end
    Ok(())
}

#[test]
fn json_and_text() -> Result<(), Box<dyn Error>> {
    use farcall_generated::proto::library;
    // guide
    // Once, at the start: what `Any` may hold, and which extensions there are.
    let mut registry = buffa::type_registry::TypeRegistry::new();
    buffa_types::register_wkt_types(&mut registry);
    library::v1::register_types(&mut registry);
    buffa::type_registry::set_type_registry(registry);

    let mut book = Book { title: "Momo".to_owned(), ..Default::default() };
    book.set_extension(&NOTE, "a present".to_owned());
    book.extra = MessageField::some(Any::pack(&Shelf::default(), Shelf::TYPE_URL));
    let json = serde_json::to_string(&book)?;
    assert_eq!(
        json,
        r#"{"title":"Momo","extra":{"@type":"type.googleapis.com/library.v1.Shelf"},"[library.v1.note]":"a present"}"#
    );
    assert_eq!(serde_json::from_str::<Book>(&json)?, book);

    let text = buffa::text::encode_to_string(&Shelf { number: Some(7), ..Default::default() });
    assert_eq!(text, "number: 7");
    // end
    Ok(())
}

#[test]
fn choices() {
    // guide
    let loan = Loan { scan: buffa::bytes::Bytes::from_static(b"seen"), ..Default::default() };
    let stamps: &std::collections::BTreeMap<String, buffa::bytes::Bytes> = &loan.stamps;
    assert!(stamps.is_empty());
    // `lending.proto` has a message of `library.proto`, which was generated elsewhere.
    let book: &MessageField<Book, _> = &loan.book;
    assert!(book.is_unset());
    // end
    assert!(Standing::Unspecified < Standing::Good);
    assert_eq!(hash(&Member::default()), hash(&Member { number: 0, ..Default::default() }));
    assert_eq!(needs_eq(loan::Until::Day(3)), loan::Until::Day(3));
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static STATE: std::sync::OnceLock<RandomState> = std::sync::OnceLock::new();
    STATE.get_or_init(RandomState::new).hash_one(value)
}

fn needs_eq<T: Eq>(value: T) -> T {
    value
}

#[test]
fn descriptors() -> Result<(), Box<dyn Error>> {
    use farcall_generated::DESCRIPTORS;
    // guide
    let pool = buffa_descriptor::DescriptorPool::decode(DESCRIPTORS)?;
    let loan = pool.message_by_name("lending.Loan").ok_or("no such message")?;
    assert_eq!(loan.fields().len(), 6);
    // end
    Ok(())
}

#[test]
fn names_that_rust_cannot_have_are_those_of_the_proto_outside() -> Result<(), Box<dyn Error>> {
    use farcall_generated::hard::hard::{Members, Value, members};
    let message = Members {
        value: Some(Value::UNDERSCORE_value),
        self_: Some(1),
        o: Some(members::O::X1(2)),
        x_2fa: Some(members::X2fa::A(3)),
        foo_bar: Some("f".to_owned()),
        ..Default::default()
    };
    let json = serde_json::to_string(&message)?;
    assert!(json.contains(r#""value":"_""#), "{json}");
    assert_eq!(serde_json::from_str::<Members>(&json)?, message);
    let text = buffa::text::encode_to_string(&message);
    assert!(text.contains("_1: 2") && text.contains("value: _") && text.contains("self_: 1"), "{text}");
    assert_eq!(buffa::text::decode_from_str::<Members>(&text)?, message);
    assert_eq!(Members::default().value.unwrap_or_default(), Value::UNDERSCORE);
    Ok(())
}

#[test]
fn fields_have_the_types_that_were_chosen() {
    use farcall_generated::custom::library::{Book, Shelf};
    let book = Book::default();
    let (_, _): (&buffa::bytes::Bytes, &std::collections::BTreeMap<String, i32>) =
        (&book.cover.clone().unwrap_or_default(), &book.ratings);
    // What is boxed is so by its type, whether it contains itself or not.
    let _: &MessageField<Shelf> = &book.shelf;
    let _: &MessageField<Timestamp, Box<Timestamp>> = &book.bought;
}
