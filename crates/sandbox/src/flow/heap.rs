//! Objects and arrays that the source makes, so that a change through one name is seen through all.

use super::value::{Id, Value};
use super::{Flow, GiveUp};
use crate::shape::{How, InputPath, Segment, Shape};
use std::collections::{BTreeMap, BTreeSet};
use swc_common::Span;

/// The most objects of one source.
const MAX_OBJECTS: usize = 2_000;
/// How deep the JSON of a shape goes: 32 objects in each other, or 19 where each is one of several.
/// serde_json reads 128 levels.
const MAX_LEVELS: usize = 96;
/// Levels of JSON that a shape of this kind takes.
const CONTAINER_LEVELS: usize = 3;
const ANY_LEVELS: usize = 2;
/// How many nodes a shape has.
const MAX_NODES: usize = 2_000;
/// Members that JavaScript itself calls where they are functions.
const MAGIC: [&str; 5] = ["toJSON", "then", "toString", "valueOf", "toLocaleString"];

/// One object, or all that one place of the source makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Object {
    pub(super) array: bool,
    pub(super) members: BTreeMap<Segment, Value>,
    /// What members of any other name may be.
    pub(super) others: Value,
    /// What the members of these are may be members here. Holds no objects.
    pub(super) spread: Value,
    /// What computed names are made of.
    pub(super) names: Value,
    /// The number of items is not known.
    pub(super) open: bool,
    /// Stands for several, or is changed where it may not be: changes only add to it.
    pub(super) summary: bool,
    /// Nothing is known of its content, for good.
    pub(super) spoilt: bool,
}

impl Object {
    pub(super) fn array() -> Self {
        Self { array: true, ..Self::default() }
    }

    /// An array of any number of these.
    pub(super) fn array_of(others: Value) -> Self {
        Self { array: true, others, open: true, ..Self::default() }
    }

    pub(super) fn get(&self, segment: &Segment) -> Value {
        if self.spoilt {
            return Value::unknown();
        }
        let others = || self.others.clone().or(&self.spread.below(segment));
        match (segment, self.members.get(segment)) {
            (Segment::Each | Segment::Any, _) => self.members.values().fold(others(), Value::or),
            (_, Some(found)) => found.clone(),
            (Segment::Member(_), None) if self.array => Value::constant(),
            (_, None) => others(),
        }
    }

    /// Sets a member; `replace` where nothing of the old value can be left.
    pub(super) fn set(&mut self, segment: &Segment, value: &Value, replace: bool) {
        let magic = matches!(segment, Segment::Member(name) if MAGIC.contains(&name.as_str()));
        let unnamed = matches!(segment, Segment::Each | Segment::Any);
        self.spoilt |= value.unknown && (magic || unnamed);
        let next = |index: u32| replace && index as usize == self.items();
        let beyond = |index: u32| !self.members.contains_key(segment) && !next(index);
        match segment {
            Segment::Each | Segment::Any => self.add_any(value),
            Segment::Member(name) if self.array && name == "length" => self.mix(),
            Segment::Index(index) if self.array && (self.open || beyond(*index)) => {
                self.open = true;
                self.members.get_mut(segment).unwrap_or(&mut self.others).join(value);
            }
            _ => {
                let old = if replace { Value::constant() } else { self.get(segment) };
                self.members.insert(segment.clone(), old.or(value));
            }
        }
    }

    /// Adds an item behind the last.
    pub(super) fn push(&mut self, value: Value) {
        match u32::try_from(self.items()) {
            Ok(index) if !self.open => {
                self.members.insert(Segment::Index(index), value);
            }
            _ => {
                self.others.join(&value);
            }
        }
    }

    /// Adds a value at a name that is not known.
    pub(super) fn add_any(&mut self, value: &Value) {
        self.open = true;
        self.others.join(value);
        for member in self.members.values_mut() {
            member.join(value);
        }
    }

    /// Adds an item somewhere behind those that are known by their index.
    pub(super) fn add(&mut self, value: &Value) {
        self.open = true;
        self.others.join(value);
    }

    /// Forgets which item stands where.
    pub(super) fn mix(&mut self) {
        self.open = true;
        for member in std::mem::take(&mut self.members).values() {
            self.others.join(member);
        }
    }

    /// Adds the members of data, as `...` does.
    pub(super) fn spread_data(&mut self, data: &Value) {
        self.spoilt |= data.unknown;
        if self.array {
            self.mix();
            self.others.join(&data.below(&Segment::Any));
            return;
        }
        for (segment, member) in &mut self.members {
            member.join(&data.below(segment));
        }
        self.spread.join(data);
    }

    /// Adds the members of another object, as `...` does.
    pub(super) fn spread_object(&mut self, other: &Self) {
        self.spoilt |= other.spoilt;
        if self.array {
            self.mix();
            self.others.join(&other.get(&Segment::Any));
            return;
        }
        for (segment, value) in &other.members {
            let joined = self.get(segment).or(value);
            self.set(segment, &joined, true);
        }
        if other.others != Value::constant() {
            self.add_any(&other.others);
        }
        self.spread_data(&other.spread);
        self.names.join(&other.names);
    }

    fn items(&self) -> usize {
        // They follow each other without a gap, and are in order.
        let mut indices = self.members.range(Segment::Index(0)..Segment::Each);
        match indices.next_back() {
            Some((Segment::Index(last), _)) => *last as usize + 1,
            _ => 0,
        }
    }

    fn join(&mut self, other: &Self) {
        let mut other = other.clone();
        if self.array && self.items() != other.items() {
            self.mix();
            other.mix();
        }
        let missing = |here: &Self, there: &Self| {
            let missing = there.members.keys().filter(|name| !here.members.contains_key(*name));
            missing.cloned().collect::<Vec<_>>()
        };
        for segment in missing(self, &other) {
            let value = self.get(&segment);
            self.members.insert(segment, value);
        }
        for (segment, value) in &mut self.members {
            value.join(&other.get(segment));
        }
        self.others.join(&other.others);
        self.spread.join(&other.spread);
        self.names.join(&other.names);
        self.open |= other.open;
        self.array &= other.array;
        self.spoilt |= other.spoilt;
    }

    /// What handling it costs.
    pub(super) fn weight(&self) -> usize {
        let beside = self.others.weight() + self.spread.weight() + self.names.weight();
        self.members.values().fold(beside, |sum, member| sum + member.weight())
    }
}

impl Flow<'_> {
    /// The object that this place of the source makes.
    pub(super) fn make(&mut self, place: Span, object: Object) -> Result<Value, GiveUp> {
        self.spend(object.weight())?;
        let place = (place.lo.0, place.hi.0, object.array);
        let id = match self.places.get(&place) {
            Some(&id) => {
                self.update(id, true, |old| {
                    old.join(&object);
                    old.summary = true;
                })?;
                id
            }
            None => {
                let summary = !self.is_straight();
                self.heap.push(Object { summary, ..object });
                self.places.insert(place, self.heap.len() - 1);
                self.heap.len() - 1
            }
        };
        if self.heap.len() > MAX_OBJECTS {
            return Err(GiveUp);
        }
        if let Some(deferred) = &mut self.deferred {
            deferred.own.insert(id);
        }
        Ok(Value::object(id))
    }

    /// What can be said of an object now. Of one that others may change by then, nothing.
    pub(super) fn look(&mut self, id: Id) -> Result<Object, GiveUp> {
        let foreign = self.is_foreign(id);
        let object = self.heap.get(id).ok_or(GiveUp)?;
        if foreign || object.spoilt {
            return Ok(Object { array: object.array, spoilt: true, ..Object::default() });
        }
        let object = object.clone();
        self.spend(object.weight())?;
        Ok(object)
    }

    /// Whether the running function is called later, when this object may have changed.
    fn is_foreign(&self, id: Id) -> bool {
        self.deferred.as_ref().is_some_and(|deferred| !deferred.own.contains(&id))
    }

    /// `whole` where the change looks at all of the object.
    fn update(
        &mut self,
        id: Id,
        whole: bool,
        change: impl FnOnce(&mut Object),
    ) -> Result<(), GiveUp> {
        let looping = !self.regions.is_empty();
        let object = self.heap.get(id).ok_or(GiveUp)?;
        self.spend(if whole || looping { object.weight() } else { 1 })?;
        let object = self.heap.get_mut(id).ok_or(GiveUp)?;
        let before = looping.then(|| object.clone());
        change(object);
        if before.is_some_and(|before| before != *object) {
            self.regions.iter_mut().for_each(|region| region.changed = true);
        }
        Ok(())
    }

    /// Changes what a value stands for; gives up where that may be more than objects of the source.
    /// `whole` where that looks at all of it.
    pub(super) fn change(
        &mut self,
        target: &Value,
        whole: bool,
        change: impl Fn(&mut Object, bool),
    ) -> Result<(), GiveUp> {
        if !target.is_objects() {
            return Err(GiveUp);
        }
        let straight = self.is_straight() && target.objects.len() == 1;
        for &id in &target.objects {
            if self.is_foreign(id) {
                self.update(id, false, |object| object.spoilt = true)?;
                continue;
            }
            self.update(id, whole, |object| {
                let replace = straight && !object.summary;
                change(object, replace);
            })?;
        }
        Ok(())
    }

    /// What stands at a segment of a value.
    pub(super) fn at(&mut self, value: &Value, segment: &Segment) -> Result<Value, GiveUp> {
        self.spend(value.weight())?;
        let mut found = value.below(segment);
        let mut work = 0;
        for &id in &value.objects {
            let object = self.heap.get(id).ok_or(GiveUp)?;
            match self.is_foreign(id) {
                true => found.join(&Value::unknown()),
                false => found.join(&object.get(segment)),
            };
            let whole = matches!(segment, Segment::Each | Segment::Any);
            work += if whole { object.weight() } else { 1 };
        }
        self.spend(work)?;
        Ok(found)
    }

    /// Any item of a value that is gone through.
    pub(super) fn each(&mut self, value: &Value) -> Result<Value, GiveUp> {
        self.at(value, &Segment::Each)
    }

    /// Everything that lies in a value, through its objects.
    pub(super) fn all(&mut self, value: &Value) -> Result<Value, GiveUp> {
        let mut found = value.data();
        let mut waiting: Vec<Id> = value.objects.iter().copied().collect();
        let mut seen: BTreeSet<Id> = value.objects.clone();
        while let Some(id) = waiting.pop() {
            let object = self.look(id)?;
            if object.spoilt {
                return Ok(Value::unknown());
            }
            let beside = [&object.others, &object.spread, &object.names];
            let inner = object.members.values().chain(beside);
            for value in inner {
                found.join(&value.data());
                waiting.extend(value.objects.iter().filter(|id| seen.insert(**id)));
            }
        }
        Ok(found)
    }

    /// The members of a value added to an object that is being made.
    pub(super) fn spread(&mut self, object: &mut Object, source: &Value) -> Result<(), GiveUp> {
        self.spend(object.weight() * (1 + source.objects.len()))?;
        object.spread_data(&source.data());
        for &id in &source.objects {
            let source = self.look(id)?;
            object.spread_object(&source);
        }
        Ok(())
    }

    /// What is known of a value, in the form that is kept.
    pub(super) fn shape(&mut self, value: &Value, levels: usize) -> Result<Shape, GiveUp> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(GiveUp);
        }
        let data = usize::from(!value.inputs.is_empty()) + usize::from(value.fetched);
        let several = data + value.objects.len() > 1;
        let levels = levels + if several { ANY_LEVELS } else { 0 };
        if value.unknown || (levels > MAX_LEVELS && !value.objects.is_empty()) {
            return Ok(Shape::Unknown);
        }
        let mut shapes = Vec::new();
        if !value.inputs.is_empty() {
            let inputs = value.inputs.iter();
            let inputs = inputs.map(|(path, how)| InputPath { path: path.to_vec(), how: *how });
            shapes.push(Shape::Reads(inputs.collect()));
        }
        if value.fetched {
            shapes.push(Shape::Fetched);
        }
        for &id in &value.objects {
            let object = self.look(id)?;
            shapes.push(self.shape_of_object(&object, levels + CONTAINER_LEVELS)?);
        }
        if shapes.contains(&Shape::Unknown) {
            return Ok(Shape::Unknown);
        }
        Ok(match shapes.pop() {
            None => Shape::Reads(Vec::new()),
            Some(only) if shapes.is_empty() => only,
            Some(last) => {
                shapes.push(last);
                Shape::Any(shapes)
            }
        })
    }

    fn shape_of_object(&mut self, object: &Object, levels: usize) -> Result<Shape, GiveUp> {
        if object.spoilt {
            return Ok(Shape::Unknown);
        }
        let others = self.shape_if_any(&object.others, levels)?;
        if object.array {
            let mut items = Vec::new();
            while let Some(item) = object.members.get(&Segment::Index(items.len() as u32)) {
                items.push(self.shape(item, levels)?);
            }
            return Ok(Shape::Array { items, others });
        }
        let mut members = BTreeMap::new();
        for (segment, value) in &object.members {
            let name = match segment {
                Segment::Member(name) => name.clone(),
                Segment::Index(index) => index.to_string(),
                Segment::Each | Segment::Any => continue,
            };
            members.insert(name, self.shape(value, levels)?);
        }
        let spread = self.shape_if_any(&object.spread, levels)?;
        let names = self.shape_if_any(&object.names, levels)?;
        Ok(Shape::Object { members, others, spread, names })
    }

    fn shape_if_any(&mut self, value: &Value, levels: usize) -> Result<Vec<Shape>, GiveUp> {
        if *value == Value::constant() {
            return Ok(Vec::new());
        }
        Ok(vec![self.shape(value, levels)?])
    }

    /// A value made of others as a text: what lies in them, kept no better than so.
    pub(super) fn made(&mut self, values: &[Value], how: How) -> Result<Value, GiveUp> {
        let mut made = Value::constant();
        for value in values {
            made.join(&self.all(value)?.kept(how));
        }
        Ok(made)
    }
}
