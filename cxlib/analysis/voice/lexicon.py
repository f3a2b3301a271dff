"""Words that tell a good mood or a bad one: our own short lists for comments on buying and service, folded.

A word that ends in * matches every word that begins so. Lists, not a measure: `sentiment` shows nothing made from them
before they have been held against the scores given.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GOOD: dict[str, tuple[str, ...]] = {
    "en": _words(
        """
        amazing appreciat* awesome beautiful* best better brilliant charming cheerful comfort* courteous delight* ease
        easy easily effortless* enjoy* excellent* exceptional* excit* fab fabulous fair fantastic* fast favorite
        favourite fine flawless* friendl* fun generous genuine* glad good gorgeous grateful great greatest happily happy
        helpful helped impress* incredible kind kindly kudos love loved lovely loving loyal nice nicely outstanding
        perfect* pleasant* pleased pleasure polite* prompt* proper quick quickly recommend* reliable resolved respectful
        satisf* smooth* solved speedy stellar super superb sweet terrific thank thanks thankful thx trust* useful
        welcom* wonderful* worked worth wow yay
        """
    ),
    "pt": _words(
        """
        acessivel ador* agradavel agradec* agil alegr* amei amo apaixon* atencios* barat* boa boas bom bonit* bons
        capricho* carinh* certinh* certo chique confia* confort* content* correta corretamente correto cumpri* delici*
        eficaz eficien* elogi* encant* espetacular excelen* excepcional facil facilidade fantastic* feliz felicidade
        fiel gentil gost* grat* honest* idone* impecav* incriv* legal lind* maravilh* melhor obrigad* otim*
        parabens perfeit* pontual* prestativ* pratic* profissional qualidade rapid* recomend* resolvid* respeit* sastif*
        satisf* segur* sensacional sucesso super surpreend* tranquil* top util valeu
        """
    ),
    "es": _words(
        """
        agradable agradec* amable* amabilidad barat* bien bonit* buen buena buenas bueno buenos calidad comod* content*
        correct* eficaz eficien* encant* estupend* excelen* facil fantastic* feliz fiable genial graci* gust* impecab*
        increib* maravill* mejor perfect* puntual* profesional rapid* recomend* resuelt* satisf* segur* util
        """
    ),
}  # fmt: skip
BAD: dict[str, tuple[str, ...]] = {
    "en": _words(
        """
        abysmal angry annoy* apalling appalling atrocious awful bad badly bother* broke broken bug* cancel* careless*
        cheat* clueless complain* complicat* confus* costly crap* damag* dead defect* delay* denied difficult* dirty
        disappoint* disaster* disgrace* disgust* dishonest* dismal dreadful endless error* expensive fail* fault* faulty
        forgot* frustrat* furious garbage hate hated hell horrendous horribl* horrid hung ignor* impossible incompeten*
        inconvenien* incorrect* inept insult* issue* joke lack* late lazy lied lies lost lousy mess messed miserabl*
        misleading miss missed missing mistake* nightmare nonsense overcharg* overpriced pathetic poor poorly problem*
        ridiculous* robb* rude rudely ruin* sad sadly scam* shame* shit* shock* slow slower stolen stranded stress*
        stuck stupid suck* terribl* thief tired trash trouble* ugly unacceptable unhappy unfair unfriendly unhelpful
        unprofessional unreliable unresolved upset useless wait waited waiting waste* weak worse worst worthless wrong
        wtf
        """
    ),
    "pt": _words(
        """
        abandon* absurd* amass* arrepend* atras* aborrec* baix* cancel* cara caro chata chato complic* confus* decepc*
        defeit* defeitu* demor* descaso descont* desrespeit* desorganiz* devolu* devolver dificil dificuldade
        enganad* enganos* engan* errad* erro erros espera esperando esperei extravi* falh* falso falsificad* falta
        faltam faltando faltou faltand* feio fraco fraca fragil frustr* golpe horriv* incomplet* incorret* infelizmente
        insatisf* irrit* lament* lent* lixo mal mau mentir* pessim* pior piores pobre problem* procon propaganda
        quebr* raiva rasgad* reclam* revolt* roubad* ruim ruins sujo suja triste vergonh* velho
        """
    ),
    "es": _words(
        """
        aburr* averi* cancel* cara caro complic* confus* decepc* defect* demor* desastr* dificil engan* equivoc*
        error* espera esperando espere estaf* fall* falta fatal frustr* horrible* incorrect* interminable* lamentab*
        lent* mal mala malo malas malos mentir* nefast* peor perdid* pesim* problem* queja* retras* robo rot* roto
        sucio tarde terrible* timo triste vergonz*
        """
    ),
}  # fmt: skip
