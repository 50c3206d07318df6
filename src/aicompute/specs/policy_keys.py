"""Keys of rules (export control, thresholds of training compute) and of suppliers."""

from __future__ import annotations

from aicompute.specs.key import PRECISIONS, Key, value_key

MARKETS = ("data centre", "other")
MEASURES: dict[str, tuple[str, str, float, str]] = {
    # name: (dimension, unit, largest plausible, what is measured)
    "tpp": ("count", "1", 1e9, "total processing performance (TPP)"),
    "density": ("count", "1", 1e4, "performance density, TPP per mm^2"),
    "transfer_rate": ("bandwidth", "GB/s", 1e6, "transfer rate to other chips, both directions together"),
    "memory_bandwidth": ("bandwidth", "GB/s", 1e6, "bandwidth of the DRAM"),
    "memory_density": ("GB/s/mm^2", "GB/s/mm^2", 1e3, "bandwidth of a memory stack per area"),
    "transistors": ("count", "1", 1e13, "transistors"),
    "country_tpp": ("count", "1", 1e12, "TPP of all chips of a country"),
    "training": ("work", "FLOP", 1e32, "arithmetic of training, all stages"),
    "training_share": ("fraction", "1", 1, "arithmetic of a change over that of the original training"),
    "biological": ("work", "FLOP", 1e32, "arithmetic of training on mainly biological sequences"),
    "peak": ("compute", "FLOP/s", 1e25, "peak rate of a cluster in one data centre"),
    "network": ("bandwidth", "Gbit/s", 1e6, "rate of the network of a cluster"),
    "revenue": ("money", "USD", 1e13, "yearly revenue of the developer"),
}
"""What a rule may set a threshold for."""
COMPARISONS = {"at_least": "Least", "above": "Must be above:", "below": "Must be below:"}
RULES = (
    Key("jurisdiction", "string", "Whose rule: country code in lower case, eu, or a state such as us-ca.", required=True),
    Key("instrument", "string", "Law, regulation or guidance, with its section.", required=True),
    Key("subject", "string", "What is judged.", required=True, choices=("chip", "memory", "foundry", "country", "training")),
    Key("role", "string", "Whether it sorts into classes, or changes what they mean.", choices=("class", "review")),
    Key("standing", "string", "What weight it has.", required=True,
        choices=("law", "guidance", "letter", "proposed", "not enforced", "no rule")),
    Key("effective", "date", "First day in force; absent where it never was."),
    Key("until", "date", "First day no longer in force."),
    Key("ended", "string", "What ended it."),
    Key("source", "string", "Key of sources.toml for the whole file.", required=True),
    Key("accelerators", "strings", "Chips that it names, instead of thresholds.", refers="accelerators"),
    Key("over", "strings", "Classes, as 'rule/class', whose treatment it changes."),
    Key("classes.*.label", "string", "What the rule calls it.", required=True),
    Key("classes.*.effect", "string", "What follows.", required=True),
    Key("classes.*.market", "string", "Only for chips designed or marketed for this.", choices=MARKETS),
    Key("classes.*.destinations", "strings", "Country codes of sites for which the class asks for a licence, in lower case."),
    Key("classes.*.further", "string", "Conditions that no formula can judge."),
    *(
        value_key(f"classes.*.{name}.{way}", dimension, unit, 0, high, f"{word} {what}.")
        for name, (dimension, unit, high, what) in MEASURES.items()
        for way, word in COMPARISONS.items()
    ),
    *(value_key(f"bit_length.{p}", "count", "1", 1, 128, f"Bit length of an operation in {p}.") for p in PRECISIONS),
)

SUPPLIERS = (
    Key("jurisdiction", "string", "Country code of its seat, in lower case.", required=True),
    Key("makes", "strings", "designs, logic or memory.", required=True),
    Key("plants", "string", "Where it makes advanced chips."),
    Key("source", "string", "Key of sources.toml for the whole file.", required=True),
)
