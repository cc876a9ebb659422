//! Fragments of texts: cut, and joined again; and in whatever order and number somebody sends them.

use halyard_ring::chat::{
    BODY, FRAGS_MAX, NAME_MAX, Reassembly, TEXT_MAX, check_name, check_text, fragments,
};

use crate::input::Input;

/// An even first byte: a text to be cut behind a nick of that length. An odd one: fragments, each as its number, how
/// many there are, its length, its text.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let first = input.byte();
    if first & 1 == 0 { cut_and_join(usize::from(first / 2), input.rest()) } else { join(&mut input) }
}

fn cut_and_join(nick: usize, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let _ = (check_name(&text), check_text(&text));
    let nick = nick % (NAME_MAX + 1);
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let pieces: Vec<&str> = fragments(nick, text).collect();
    assert!((1..=FRAGS_MAX).contains(&pieces.len()));
    let mut whole = Reassembly::default();
    for (index, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= if index == 0 { BODY - nick } else { BODY });
        let joined = whole.add(index as u8, pieces.len() as u8, piece).expect("pieces in order");
        assert_eq!(joined, (index + 1 == pieces.len()).then_some(text));
    }
}

/// What a reassembly is meant to do, in other words: a text counts from its fragment 0, in order, or not at all.
#[derive(Default)]
struct Model {
    pieces: Vec<String>,
    frags: u8,
}

impl Model {
    fn add(&mut self, frag: u8, frags: u8, text: &str) -> Result<Option<String>, ()> {
        if frag == 0 {
            (self.pieces, self.frags) = (Vec::new(), frags);
        }
        let gathered: usize = self.pieces.iter().map(String::len).sum();
        let follows = usize::from(frag) == self.pieces.len() && frags == self.frags && frag < frags;
        if !follows || gathered + text.len() > TEXT_MAX || usize::from(frags) > FRAGS_MAX {
            *self = Self::default();
            return Err(());
        }
        self.pieces.push(text.to_owned());
        Ok((self.pieces.len() == usize::from(frags)).then(|| self.pieces.concat()))
    }
}

fn join(input: &mut Input<'_>) {
    let (mut whole, mut model) = (Reassembly::default(), Model::default());
    while !input.is_over() {
        let (frag, frags, len) = (input.byte(), input.byte(), usize::from(input.byte()));
        let text = String::from_utf8_lossy(input.take(len));
        let joined = whole.add(frag, frags, &text).map(|text| text.map(str::to_owned));
        assert_eq!(joined, model.add(frag, frags, &text));
        assert_eq!(
            whole.is_partial(),
            !model.pieces.is_empty() && model.pieces.len() < usize::from(model.frags)
        );
        if frag == 0xff {
            whole.clear();
            model = Model::default();
        }
    }
}

/// Texts of every number of fragments, and fragments in order and not.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = ["", "hello", &"ü€\u{1f980}".repeat(60)]
        .iter()
        .map(|text| [b"\x06", text.as_bytes()].concat())
        .collect();
    let fragment = |frag: u8, frags: u8, text: &[u8]| [&[frag, frags, text.len() as u8], text].concat();
    let three: Vec<Vec<u8>> = (0..3).map(|frag| fragment(frag, 3, b"abc")).collect();
    seeds.push([vec![1], three.concat(), three[0].clone(), three[2].clone(), fragment(0, 1, b"z")].concat());
    let long: Vec<u8> = (0..26).flat_map(|frag| fragment(frag, 26, &[b'x'; 168])).collect();
    seeds.push([vec![1], long].concat());
    seeds
}
