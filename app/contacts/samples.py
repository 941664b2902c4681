"""Sample contacts, for a first look and for measuring: the same for the same seed.

The first twelve are pioneers of computing. The rest are made up from lists, with lengths,
scripts and gaps as real address books have them. No email or phone can reach anyone:
example.com, .org and .net are reserved (RFC 2606), the numbers are kept free for fiction.
"""

# ruff: noqa: RUF001  # names in many scripts are the point

import random
from collections.abc import Callable, Iterator, Sequence

from app.contacts.contact import ContactDraft


def samples(count: int, seed: int = 1) -> Iterator[ContactDraft]:
    """Yield `count` drafts that keep every rule; a smaller count gives the first of a larger one.

    No two have the same email, and no two without email have the same phone, so an import
    keeps them all.

    >>> [draft.name for draft in samples(2)]
    ['Ada Lovelace', 'Grace Hopper']
    """
    yield from PIONEERS[: max(count, 0)]
    rng = random.Random(seed)
    for number in range(len(PIONEERS) + 1, count + 1):
        yield _made_up(number, rng.random)


PIONEERS = (
    ContactDraft(
        name="Ada Lovelace",
        email="ada@example.com",
        phone="+44 20 7946 0101",
        company="Analytical Engine",
        notes="Published the first program, for a machine that was never built.",
        tags=("Mathematics", "Programming", "VIP"),
    ),
    ContactDraft(
        name="Grace Hopper",
        email="grace.hopper@example.org",
        phone="+1 202-555-0109",
        company="U.S. Navy",
        notes="Wrote the first compiler. Keeps a moth in the logbook.",
        tags=("Compilers", "Programming", "VIP"),
    ),
    ContactDraft(
        name="Alan Turing",
        email="alan.turing@example.net",
        phone="+44 20 7946 0123",
        company="National Physical Laboratory",
        notes="Ask about the tea mug that is chained to the radiator.",
        tags=("Cryptography", "Mathematics"),
    ),
    ContactDraft(
        name="Katherine Johnson",
        email="katherine@example.com",
        phone="+1 757-555-0162",
        company="NASA",
        notes="Checked the orbits by hand before John Glenn would fly.",
        tags=("Mathematics", "Space"),
    ),
    ContactDraft(
        name="Rózsa Péter",
        email="rozsa.peter@example.org",
        company="Eötvös Loránd University",
        notes="Author of Playing with Infinity.",
        tags=("Mathematics", "Teaching"),
    ),
    ContactDraft(
        name="Muḥammad ibn Mūsā al-Khwārizmī",
        phone="+1 212-555-0178",
        company="House of Wisdom",
        notes="Gave us algebra, and his name to every algorithm.",
        tags=("Mathematics", "Teaching"),
    ),
    ContactDraft(
        name="Konrad Zuse",
        email="zuse@example.net",
        phone="+49 30 23125 041",
        company="Zuse KG",
        notes="Built the Z1 in his parents' living room.",
        tags=("Hardware",),
    ),
    ContactDraft(
        name="夏培肃 (Xia Peisu)",
        email="xia.peisu@example.org",
        phone="+1 415-555-0136",
        company="Institute of Computing Technology",
        tags=("Hardware", "Teaching"),
    ),
    ContactDraft(
        name="Claude Shannon",
        email="claude@example.com",
        phone="+1 908-555-0184",
        company="Bell Labs",
        notes="Juggles. Rides a unicycle down the corridor.",
        tags=("Cryptography", "Mathematics"),
    ),
    ContactDraft(
        name="Dorothy Vaughan",
        email="dorothy.vaughan@example.com",
        phone="+1 757-555-0117",
        company="NASA",
        tags=("Programming", "Space"),
    ),
    ContactDraft(
        name="Edsger W. Dijkstra",
        email="ewd@example.net",
        phone="+1 512-555-0159",
        company="University of Texas",
        notes="Prefers letters, written with a fountain pen.",
        tags=("Programming", "Teaching"),
    ),
    ContactDraft(
        name="Mary Kenneth Keller",
        email="mary.keller@example.org",
        phone="+1 563-555-0128",
        company="Clarke College",
        tags=("Teaching",),
    ),
)


def _names(text: str) -> tuple[tuple[str, str], ...]:
    """Names and their spelling in an email: `Åsa/asa Bo` gives `(("Åsa", "asa"), ("Bo", "bo"))`."""
    pairs = (word.partition("/") for word in text.split())
    return tuple((name, latin or name.lower()) for name, _, latin in pairs)


# Given names, family names, and whether the family name comes first.
_LATIN = (
    _names(
        """Amélie/amelie Anna Åsa/asa Beatriz Björn/bjorn Camille Carmen Charlotte Chloé/chloe Daniel David
        Elena Emma Fatima Félix/felix Gabriel Hannah Inês/ines Ingrid James Jan João/joao Jorge Julia Karin
        Kwame Laura Léa/lea Liam Lucía/lucia Łukasz/lukasz Maria Martín/martin Matteo Mia Nina Noah Nora Olga
        Olivia Oscar Paul Pedro Priya Rachel Robert Rosa Ruth Samuel Sara Søren/soren Sofia Thomas
        Tomáš/tomas Victor Wanjiru Yusuf Zoë/zoe Zuzana"""
    ),
    _names(
        """Adeyemi Almeida Andersson Bauer Bernard Bianchi Brown Castillo Chaudhary Cohen Costa
        Dąbrowski/dabrowski Davies Dubois Evans Fernández/fernandez Fischer García/garcia Gupta Hansen
        Hernández/hernandez Hoffmann Ivanova Jackson Jansen Johansson Jones Kamau Kovács/kovacs Kowalska
        Larsen Lefèvre/lefevre Lévy/levy Lindqvist López/lopez MacDonald Martin Mensah Meyer Moreau
        Müller/muller Nguyen Nielsen Novák/novak Núñez/nunez O'Brien/obrien Okafor Oliveira Papadopoulos Patel
        Pereira Petrov Ramírez/ramirez Ricci Rossi Sánchez/sanchez Schmidt Silva Singh Smith
        Söderberg/soderberg Sørensen/sorensen Taylor Tremblay Weiß/weiss Wilson Wójcik/wojcik Yılmaz/yilmaz
        Zimmermann"""
    ),
    False,
)
_OTHER_SCRIPTS = (
    (
        _names("伟/wei 芳/fang 娜/na 秀英/xiuying 敏/min 静/jing 丽/li 强/qiang 磊/lei 洋/yang 艳/yan"),
        _names("王/wang 李/li 张/zhang 刘/liu 陈/chen 杨/yang 黄/huang 赵/zhao 吴/wu 周/zhou"),
        True,
    ),
    (
        _names("陽菜/hina 結衣/yui さくら/sakura 美咲/misaki 蓮/ren 大翔/hiroto 健/ken 直子/naoko"),
        _names("佐藤/sato 鈴木/suzuki 高橋/takahashi 田中/tanaka 伊藤/ito 渡辺/watanabe 中村/nakamura"),
        True,
    ),
    (
        _names("민준/minjun 서연/seoyeon 지우/jiwoo 하은/haeun 도윤/doyun 수빈/subin 예준/yejun"),
        _names("김/kim 이/lee 박/park 최/choi 정/jung 강/kang 조/cho"),
        True,
    ),
    (
        _names("Анна/anna Борис/borys Дарія/dariia Ігор/ihor Катерина/kateryna Марія/mariia Олена/olena"),
        _names("Іваненко/ivanenko Коваль/koval Мельник/melnyk Попович/popovych Шевченко/shevchenko"),
        False,
    ),
    (
        _names("Αθηνά/athina Γιώργος/giorgos Δήμητρα/dimitra Ελένη/eleni Νίκος/nikos Σοφία/sofia"),
        _names("Αντωνίου/antoniou Γεωργίου/georgiou Νικολάου/nikolaou Παππάς/pappas"),
        False,
    ),
    (
        _names("أحمد/ahmad سارة/sara فاطمة/fatima يوسف/yousef ليلى/layla عمر/omar مريم/maryam"),
        _names("حداد/haddad خوري/khoury منصور/mansour ناصر/nasser صالح/saleh عيسى/issa"),
        False,
    ),
    (
        _names("अनिल/anil दीपा/deepa कविता/kavita राहुल/rahul सीता/sita विजय/vijay"),
        _names("शर्मा/sharma वर्मा/verma गुप्ता/gupta मेहता/mehta जोशी/joshi"),
        False,
    ),
)
_PEOPLE = (*[_LATIN] * 17, *_OTHER_SCRIPTS)

_COMPANIES = (
    "Acme",
    "Åkerlund & Partners",
    "Alder Street Bakery",
    "Atelier Lumière",
    "Baker & Daughters Accountants",
    "Bluebird Logistics",
    "Café Zürich",
    "Cedar Hill School",
    "City of Springfield, Department of Parks and Recreation",
    "Copper Kettle",
    "Dr. Osei Dental Practice",
    "Fern & Fig",
    "Globex",
    "Greenfield Energy Cooperative",
    "Harbour Theatre",
    "Hooli",
    "Initech",
    "Kestrel Robotics",
    "Lighthouse Books",
    "Meridian Insurance Group",
    "Nordlicht GmbH",
    "Oak Lane Veterinary Clinic",
    "Papelería Sol",
    "Pied Piper",
    "Quarry Sound",
    "Red Lantern Trading Co.",
    "Saint Mary's Hospital",
    "Soylent",
    "Sunrise Yoga",
    "Tailspin Toys",
    "Umbrella",
    "Vandelay Industries",
    "Wayne Enterprises",
    "Wonka",
    "Żabka Studio",
    "さくら工業",
    "北京书店",
)
_NOTES = (
    "Met at the conference in Lisbon.",
    "Call after five.",
    "Birthday in March.",
    "Allergic to nuts.",
    "Prefers email.",
    "Neighbour of Grace.",
    "Moved in spring; ask for the new address.",
    "Send the invoice to the office, not home.\nReception closes at four.",
)
_TAGS = (
    "Work",
    "Family",
    "Friends",
    "Book club",
    "Choir",
    "Customers",
    "Football",
    "School",
    "Suppliers",
    "VIP",
)
_HOSTS = ("example.com", "example.com", "example.org", "example.net")
_AREAS = ("202", "212", "303", "312", "415", "503", "512", "617", "702", "808", "907")


def _made_up(number: int, chance: Callable[[], float]) -> ContactDraft:
    """One contact from the lists. number: no other contact has it. chance: gives numbers from 0 to 1."""

    def one_of[T](items: Sequence[T]) -> T:
        return items[int(chance() * len(items))]

    givens, families, family_first = one_of(_PEOPLE)
    (given, given_latin), (family, family_latin) = one_of(givens), one_of(families)
    has_email = chance() < 0.88
    if not has_email:
        phone = f"+1 {one_of(_AREAS)}-555-01{int(chance() * 100):02} x{number}"
    elif chance() < 0.2:
        phone = ""
    elif chance() < 0.3:
        phone = f"+44 20 7946 0{int(chance() * 1_000):03}"
    else:
        phone = f"+1 {one_of(_AREAS)}-555-01{int(chance() * 100):02}"
    return ContactDraft(
        name=f"{family}{given}" if family_first else f"{given} {family}",
        email=f"{given_latin}.{family_latin}{number}@{one_of(_HOSTS)}" if has_email else "",
        phone=phone,
        # Squared, so that the first companies of the list employ the most people.
        company=_COMPANIES[int(chance() ** 2 * len(_COMPANIES))] if chance() < 0.7 else "",
        notes=one_of(_NOTES) if chance() < 0.2 else "",
        tags=tuple(dict.fromkeys(one_of(_TAGS) for _ in range(int(chance() * 4)))),
    )
