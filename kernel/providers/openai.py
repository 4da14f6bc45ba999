from ledger.vocabulary import Frozen


class OpenAISettings(Frozen):
    pass
