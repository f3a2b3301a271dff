"""Words that carry no theme: articles, pronouns, helping verbs, politeness. English, Portuguese, Spanish and German.

Our own short lists, folded (no case, no accents). Words that may be a complaint stay out of them (never, nobody, late,
again, still): lists of libraries hold such words (Nothman, Qin and Yurchak 2018, "Stop word lists in free open-source
software packages").
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "en": _words(
        """
        a about above after all also am an and any anyway are as at be because been before being below between both
        but by came can come could did do does doing done down during each even ever every few for from further get
        gets getting go goes going gone got had has have having he her here hers him his how i if in into is it its
        itself just know let like made make many may me might more most much must my myself now of off on once one
        only or other our ours out over own per please quite rather really said same say see seem she should since so
        some such than that the their theirs them then there these they thing things this those through to too under
        until up upon us use used very via want was way we well went were what when where which while who whom whose
        why will with would yes yet you your yours amp rt im ive id ill dont cant wont didnt doesnt isnt wasnt theyre
        youre thats i'm i've i'd i'll it's that's there's what's he's she's we're we've we'll we'd you're you've
        you'll you'd they're they've they'll let's u ur lol ok okay
        """
    ),
    "pt": _words(
        """
        a ao aos aquela aquelas aquele aqueles aquilo as ate com como cada contra da das de dela delas dele deles
        depois desde dessa desse desta deste disso disto do dos e ela elas ele eles em embora enquanto entao entre era
        eram essa essas esse esses esta estao estar estas estava estavam este estes estive esteve estou eu fez fica
        fiz foi for fora foram fui gente ha havia ir isso isto ja la lhe lhes mais mas me mesma mesmas mesmo mesmos
        meu meus minha minhas muita muitas muito muitos na nas nessa nesse nesta neste no nos nossa nossas nosso
        nossos num numa o onde os ou para pela pelas pelo pelos pode podem pois por porque pouco pra pro quais qual
        quando quanto que quem sao se seja ser sera seu seus so sobre sou sua suas tambem tao te tem temos tenho ter
        teu teve tinha tive toda todas todo todos tua tudo um uma umas uns vai vem veio vou voce voces
        """
    ),
    "es": _words(
        """
        a al algo alguna algunas alguno algunos ante antes aquel aquella aqui asi aun aunque cada como con cual cuando
        cuanto de del desde donde dos durante e el ella ellas ellos en entre era eran es esa esas ese eso esos esta
        estaba estado estan estar estas este esto estos estoy fue fueron ha habia hace hacer hacia han hasta hay he
        hemos iba ir la las le les lo los mas me mi mis misma mismo mucha muchas mucho muchos muy nos nosotros nuestra
        nuestro o os otra otras otro otros para pero poco por porque pues que quien se sea segun ser si sido sin sobre
        solo son soy su sus tal tambien tan tanto te tener tengo tiene tienen toda todas todo todos tu tus un una unas
        uno unos va vamos vez voy y ya yo
        """
    ) - {"sin"},
    "de": _words(
        """
        ab aber alle allem allen aller alles als also am an ander andere anderen auch auf aus bei beim bin bis bist da
        dabei dadurch daher damit dann das dass dem den denn der deren des dessen die dies diese diesem diesen dieser
        dieses doch dort du durch eben ein eine einem einen einer eines einige er es etwas euch euer fur gegen gehabt
        haben hab habe hat hatte hatten her hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in
        ins ist ja jede jedem jeden jeder jedes jetzt kann konnen konnte man manche mehr mein meine meinem meinen
        meiner mich mir mit muss musste nach noch nun nur ob oder schon sehr sein seine seinem seinen seiner seit
        selbst sich sie sind so solche soll sollte sondern sonst uber um und uns unser unsere unter vom von vor wann
        war waren warum was weil welche wenn wer werde werden wie wieder will wir wird wo wollen worden wurde wurden
        zu zum zur zwar
        """
    ),
}  # fmt: skip
LANGUAGES = tuple(STOP_WORDS)

# They turn what follows round: no terms by themselves, but the first word of a pair ("not solved").
NEGATIONS = _words(
    """
    no not never nobody nothing none neither nor without cannot hardly
    nao nunca jamais nem ninguem nada sem nenhum nenhuma
    nunca nadie sin ningun ninguna ninguno tampoco
    nicht nie niemals niemand nichts kein keine keinen keiner ohne
    """
)
