"""May this visitor be sent this message now? Offers, windows, quiet hours, STOP, consent, text: pure rules.

No storage, no clock: what is known comes in as `Facts`, the moment as an aware datetime.
"""

from alias_middleware.contact.facts import Facts, FrequencyCap, Received, Suppression, suppressions_of_stop
from alias_middleware.contact.holidays import TERRITORIES, public_holidays
from alias_middleware.contact.judgement import Judge, Verdict, verdict
from alias_middleware.contact.keywords import COMMANDS, Command, command_of, meaning_of_stop
from alias_middleware.contact.offers import OFFERS, Mo, Offer
from alias_middleware.contact.quiet_hours import PRESETS, Policy, next_allowed, policy
from alias_middleware.contact.rules import RULES, Reason, Rule
from alias_middleware.contact.senders import Kind, ShortCode, ShortCodes
from alias_middleware.contact.text import SmsText, sms_text
from alias_middleware.contact.timeliness import Untimely, untimely

__all__ = [
    "COMMANDS",
    "OFFERS",
    "PRESETS",
    "RULES",
    "TERRITORIES",
    "Command",
    "Facts",
    "FrequencyCap",
    "Judge",
    "Kind",
    "Mo",
    "Offer",
    "Policy",
    "Reason",
    "Received",
    "Rule",
    "ShortCode",
    "ShortCodes",
    "SmsText",
    "Suppression",
    "Untimely",
    "Verdict",
    "command_of",
    "meaning_of_stop",
    "next_allowed",
    "policy",
    "public_holidays",
    "sms_text",
    "suppressions_of_stop",
    "untimely",
    "verdict",
]
