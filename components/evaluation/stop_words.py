"""Words that cannot be the last of a sentence, for the stop-word filter of LAMBADA (GPT-2 section 3.3, which prints no list).

Closed word classes of English that want a word after them: articles, possessives, conjunctions, most prepositions, auxiliaries. Words of
these classes that do end sentences ("him", "that", "in", "not") are left out, for the filter must never forbid a right answer.
"""

_WORDS = """
a an the my your its our their
and but or nor yet because although though while if unless until whereas since than as whether
of from with at into onto upon among between during without within toward towards against per via despite
am is are was were be been being has have had does did do can could will would shall should may might must
i we they he she who whose which every each very
"""
STOP_WORDS = frozenset(_WORDS.split())
