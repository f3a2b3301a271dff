"""Words that `redaction` knows: given names, surnames, and words that stand before a name or are none."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split("|"))


# Common given names of English, Portuguese, Spanish and German speakers, without accents, that are no words.
GIVEN = _words(
    """
    aaron abdul abigail adam adela adele adeline adina adriana adriano adrienne agathe agnes agnieszka agustin ahmad
    ahmed aida aidan aileen aisha aisling aitor akira alan alana alberto albrecht alejandra alejandro alejo
    alessandra alessandro alessia alex alexa alexander alexandra alexandre alexia alexis alfie alfonso alfred
    alfredo alice alicia alina alison alistair allison alma alois althea alvaro alvin alyssa amaia amalia amanda
    amara amelia amir amira amit amy ana anabel anastasia anders andre andrea andreas andrei andreia andres andrew
    andrzej andy aneta angelica angelika angelina angelo angus anil anita anja anke anna anne anneliese annemarie
    annette annie annika anouk ansgar anthony antje antoine anton antonella antonia antonino antonio aoife arantxa
    ariana ariane ariel armando armin arnaud arne arnold arthur artur arturo ashley asier astrid asuncion augusto
    aurelie aurelio ayse azucena barbara barry bartosz basil beate beatrice beatriz begona belen belinda ben
    benedict benedikt bengt benita benito benjamin bennett bernadette bernardino bernardo bernd bernhard bernice
    bert bertha bertram beth bethany betty beverly bianca billy birgit bjorn bob bobby bodo bogdan boris borja brad
    bradley brandon brenda brett brian brianna bridget brigitte britta bruno bryan bryony byron caitlin calvin
    camila camilla candice cara carina carla carlo carlos carly carmela carolin caroline carrie carsten cassandra
    cassio catalina catarina cathal catherine cathy cayetano cecile cecilia celeste celia celine cesar chantal
    charles charlie chiara chloe christa christel christian christiane christina christine christoph christophe
    christopher ciara cicero cindy claire claude claudette claudia claudine claudio clemens clement clifford clive
    conor conrad constance constantin cora cordula corinna corinne cornelia cornelius cosima courtney craig
    cristiano cristina curtis cynthia cyril dagmar damian damien daniel daniela daniele danielle danilo danny daphne
    daria dario darius darren darya dave david davide debora deborah debra declan deepak deirdre delphine demetrio
    denis denise dennis denzel derek derrick desmond detlef devon diana diane diego dieter dietmar dietrich dimitri
    dina dino dirceu dirk djamila dmitri dominic dominik dominique donald donna doreen doris doroteia dorothea
    dorothee dorothy douglas duarte duncan dunja dylan ebony eckhard edgar edgardo edith edmund edmundo edna edouard
    edson eduard eduarda eduardo edward edwin egon eileen ekaterina elaina elaine eleanor eleanora elena eleonora
    elfriede eliana elias elisa elisabeth elizabeth elke ella ellen elliot elliott elmar elodie eloisa eloise elsa
    elvira emanuel emerson emil emile emilia emilio emily emma emmanuel emmy enrique enzo eoin eric erica erich erik
    erika erna ernestina ernestine ernesto erwin esteban estefania estela esteve esther ethan etienne eudald eugenia
    eulalia eusebio evaristo evelin evelyn ewa ewan ezequiel fabian fabiana fabienne fabio fabrice fabricio fabrizio
    fanny farid fatemeh fatima fatma fatou faye federico felicia felicitas felipe felisa felix ferdinand fermin
    fernanda fernando ferran fidel filipa filipe finn fintan fiona flavia flavio florencia florian frances francesca
    francisca francisco franziska frieda friedrich fritz gabriel gabriela gabriele gaetano gaia galina gareth gary
    gaspar gavin genevieve geoff geoffrey georg george georges georgina gerald geraldine gerardo gerd gerhard gerrit
    gertrud gertrude gesa giacomo giancarlo gianni gilberto gillian gina giorgio giovanni gisela gisele giulia
    giuseppe gleb gonzalo goran gordon gotz graham gregor gregorio gregory greta guadalupe gudrun guido guilherme
    guillem guillermo gunnar gunter gunther gustavo gwen hamid hamza hanna hannah hanne hannelore hannes hans harald
    harold harriet harry hartmut hassan hayley hector heike heinrich heinz helen helena helga heloisa hendrik
    henning henri henrik henrique henry herbert hermann hermine herminia hilda hilde hildegard hiroshi holger
    horacio horst hubert hugo humberto ian ibrahim ida ignacio ignasi igor iker ildefonso ilka ilse imane imanol
    imke immaculada imogen inaki indira ines inga ingeborg ingrid inigo inmaculada irena irene iria irina irmgard
    isaac isabel isabela isabella isabelle isaias isidoro isidro ismael ivan ivana ivone ivonne izaskun jacinta
    jacinto jacob jacqueline jacques jacquie jadwiga jaime jake jakob jakub jamal james jana janaina janet janina
    janine jannik jaqueline jarek jaroslav jasmin jason javier jean-pierre jeff jeffrey jenna jenni jennifer jenny
    jens jeremy jerome jerry jess jesse jessica jessie jill jim joachim joan joana joanna joanne joao joaquim
    joaquin joaquina jocelyn jochen jodie joe joel joelma joerg johan johann johanna johannes john johnny jolanta
    jonah jonas jonathan joost jordana jordi jorg jorge jose joseba josef josefa josefina josefine josep joseph
    josephine josh joshua josie josue jovana joyce juan juana juanita juanjo judit judite judith judy juergen jules
    julia julian juliana juliane julianne julie juliet juliette julio junaid jurgen justin justine justus justyna
    kamil kamila karen karim karin karina karl karla karolina karoline karsten kasia kaspar kate katharina katharine
    katherine kathleen kathrin kathryn kathy katia katie katja katrin katrina kay-uwe kayla keira keith ken kenneth
    kerry kerstin kevin khalid kieran kimberly kirsten kirsty klaus konrad konstantin kristen kristin kristina
    krystyna kurt kwame kyle kyra lachlan laia laila lara larissa larry lars laszlo latoya laura lauren laurence
    laurent laurie lavinia lea leah leandra leandro leila leire lennart leona leonardo leonel leonhard leonie leonor
    leonora leopold leroy leslie leticia liam liane lidia liesel ligia lilia lilian lilly lina linda linnea lionel
    lisa lisandro lisbeth livia lizzie lorelei lorena lorenzo loretta lorna lorraine lothar louis louisa louise
    lourdes lourenco luc luca lucas lucia lucian luciana luciano lucie lucien lucille lucy ludmila ludwig luigi luis
    luisa luise luiz lukas lukasz luke lurdes lutz lydia lynne mabel maciej maddie mafalda magali magda magdalena
    magdalene maik maike maisie maite malcolm malik malte mandy manfred manoel manolo manon manuel manuela mara
    marcel marcela marcelle marcelo marcia marcio marco marcos marcus maren margaret margarida margot margret
    marguerite maria mariam mariana marianne mariano maribel maricarmen marie mariella marietta marije marijke
    marilia marilyn marina marion marisa marisol maritza marius marjorie markus marlene marlies marlon marta marten
    martha marthe martin martina marty marvin mary maryam matei mateo mateus matheus mathias mathieu mathilde
    matilda matt matteo matthew matthias maud maura maureen maurice mauricio mauro maxim maxime maximilian maya
    mechthild megan mehmet mei-ling meike mekhi melanie melinda melisa melissa mercè micaela micah michael michaela
    michal michele michelle mickael miguel mihai mike mila mildred milena mirela miriam miroslav mohamad mohamed
    mohammad mohammed moises monica monika monique montserrat moritz morten moses muhammad muriel myriam nadia
    nadine nadja nahia nancy naomi narciso natacha natalia natalie natasha nathalie nathan nayara neide neil nelly
    nerea nestor neus nevio nia nicholas nicola nicolas nicolau nicole nigel nikita niklas niko nikola nikolai
    nikolas nils nina noah noelia noemi noor nora norbert norman nuno nuria octavio odette odile olaf oleg olek
    olena olga oliver olivia olivier omar oriol orsolya oscar osman osvaldo oswaldo otavio otto pablo paco palmira
    pamela paola patricia patricio patrick patrik paul paula paulina pauline paulo paulus pavel pawel pedro pepe
    percy perry peter petra phil philip philipp philippa philippe phoebe phyllis pierre piotr pippa primitivo
    priscila priya quentin quintin quique rachael rachel radek rafa rafael rafaela raffaele rahul raimundo rainer
    raissa raj rajesh ralf ramiro ramon ramona randy raphael raquel rasmus raul ravi raymond rebecca regine regis
    reiner reinhard reinhold remi remigio renata renate renato rene renee reza rhiannon rhys ricarda ricardo
    riccardo richard rita robert roberta roberto robyn rocio rodney rodrigo rogelio roger rohan roland rolf romain
    roman romina romulo ronald ronan ronnie rory rosalia rosalie rosalind rosamund rosana rosane rosangela rosaura
    roselyn rosemarie rosemary rosie roswitha roxanne rozalia rubens rudiger rudolf rudolph ruediger rufus rui
    rupert ruslan russell ruth ryan sabina sabine sabrina sadie saeed sally-ann salma salome samantha sami samir
    samira samson samuel sandra sanjay sanna sara sarah sarai sascha saskia saul sean sebastian sebastiao sebastien
    selina selma serge sergej sergi sergio severin shannon sharon sheena sheila sheryl shirley shona sibylle
    siegfried sigmund sigrid silke silvana silvestre silvia silvio simao simon simone siobhan sixto sofia sofie
    solange sonia sonja sonya sophia sophie soraya stacey stacy stanislav stefan stefania stefanie stefano steffen
    stephan stephanie stephen steve steven stuart suelen suellen sunita susan susana susann susanne susie suzana
    suzanne sven svenja svetlana sybille sylvia sylvie tabea taisia takeshi talia tamara tamika tania tanja tanya
    tariq tatiana tatjana telma telmo teodora teodoro terence teresa terrence thais thalia thea thelma theo theodor
    theodore theresa thiago thierry thilo thomas thorben thorsten tiago tiana tim timo timothy tina tobi tobias todd
    todor tom tomas tomasz tommaso tomoko tony torsten tracy trevor tristan txema ulf ulla ulrich ulrike ursel
    ursina ursula uschi ute uwe valdir valentim valentin valentina valeria valerie valerio valter vanessa vania
    vasco vera-lucia verena verna vernon veronica veronika veronique vicente vicki viktor viktoria vilma vincent
    vincenzo vinicius vitor vitoria vivian vivien vladimir volker waldemar walid walter waltraud wanda wendy werner
    wesley whitney wiebke wilfried wilhelm william wilma winfried wojciech wolfgang xabier xavi xavier ximena yago
    yan yannick yannis yara yasmin yasmine yoko yolanda yolande yosef yuki yuri yusuf yves yvonne zacarias zachary
    zainab zara zelia zeynep zoe zoltan zuleika
    """
)
# Names that are words, months or places too ("Rose", "Mark", "Austin"): these need more than a capital letter.
AMBIGUOUS = _words(
    """
    abel adora alba ali amber amor amparo angel angela april art august aurora austin autumn axel bella bill blake
    blanca bliss bom bonita brandy brent brooke cameron carmel carmen carol carolina carter casey chance charity
    charlotte chase chelsea cher cherry chester chip christ christmas chuck clara claro clay cliff colin concha
    consuelo coral cruz daisy dale dallas dana dawn dean delia dick dolores don drew duke dulce earl eden
    encarnacion ernst esperanza estrella eugene eva evan faith fe felicity flor flora florence florida frank
    franklin frida gene georgia gil ginger glen gloria grace graciela grant guy hazel heather heidi hope hunter iris
    ivy jack jade jamie jan jasper jay jean jesus jewel jordan joy june justice kai kay kelly kent king lana lance
    laurel lee lena leo leon lewis lily linus logan lola long luz lynn macy madison manu mar marc margarita mario
    mark marlin marvel mason max may melody mercedes mercy mia milagros milan miles min misty morgan myrtle nelson
    nick nieves noel norma ola olive orlando page paige paloma paris parker pat patience patty paz pearl peggy penny
    perla pete phoenix pia pilar pol poppy preston prudence queen ray reed regina remedios rex rich rico rob robin
    rocky rod rosa rosario rose ross rowan roy ruby rudi rusty sage sally salvador sam sandy santos savannah scott
    serena sierra sky sol soledad spencer stan stella sterling stern stone sue summer sunny tab tara taylor ted
    terry till toni trinity tyler van vera vicky victor victoria viola violet virgil virginia wade wagner ward
    warren wellington will willow winston wolf woody
    """
)
# Common surnames, without accents.
SURNAMES = _words(
    """
    adams aguilar allen almeida alonso alvarez alves anderson andrade araujo azevedo bailey baker barbosa barros
    bauer becker bell bennett blanco braun brown bruns cabral campbell campos cardoso carter carvalho castillo
    castro clark clarke coelho collins cook cooper correia costa cox cruz cunha davies davis delgado dias diaz diez
    dominguez duarte edwards evans farias fernandes fernandez ferreira figueiredo fischer flores fonseca foster
    franke freitas fuchs garcia garrido gil gomes gomez goncalves gonzalez gray green guerrero gutierrez hahn hall
    hansen harris hartmann hernandez herrera hill hoffmann howard huber hughes iglesias jackson jenkins jimenez
    johnson jones kaiser keller kelly khan klein koch kohler konig kraus kruger kuhn kumar lang lange lee lehmann
    lewis lima lopes lopez lorenzo lozano machado maier marin marques marquez martin martinez martins medina mendes
    mendoza meyer miller miranda mitchell molina monteiro moore morales moreira moreno morgan morris muller munoz
    murphy nascimento navarro neumann neves nguyen nogueira nunes nunez oliveira ortega ortiz parker patel pereira
    perez peters phillips pinheiro pinto pires pohl powell prieto ramirez ramos reis reyes ribeiro richards richter
    roberts robinson rocha rodrigues rodriguez rogers romero roth rubio ruiz sanchez santana santos sanz schafer
    scherer schmid schmidt schmitt schmitz schneider scholz schroder schubert schulte schulz schulze schumacher
    schwarz serrano shaw silva simmons singh smith soares sousa souza stewart suarez taylor teixeira thompson torres
    turner vargas vazquez vega vieira vogel vogt wagner walker walsh ward watson weber weiss werner white williams
    wilson winkler winter wolff wood wright young zimmermann
    """
)
# What is written with a capital letter and is no surname: a name ends before it.
PLAIN = _words(
    """
    a aber about abril account after again agent agora agosto ainda airlines airport all alles also am amigo amigos
    an and anyone app aqui are as asked at atendimento auch because both but by call called came can chat cliente
    clientes com como compra correios could customer danke dann das day dear december delivery department der desk
    dezember dezembro dia diciembre did didn die dienstag director do domingo don donnerstag e ein eine ela ele em
    email enero entrega equipe equipo er era es esta este está eu every everybody everyone excelente excellent fast
    febrero februar february fevereiro flight foi for freitag friday friend friends from fui gate god good gostei
    got gracias great had has have he hello help her here hi his hola how however i ich ida if ihr in international
    is it its janeiro januar january jueves julho juli julio july junho juni junio just kunde kundenservice la last
    later line loja los lunes madam maio manager many march martes marzo março maybe mayo mittwoch miércoles monday
    montag more most mr mrs ms muito muy my märz na nada nao never nice no nobody not nota nothing november novembro
    noviembre now não o obrigada obrigado october octubre of office ok oktober on online only or order our outubro
    para parabens parcel people phone please pode por porque post produto quarta que quinta recebi recomendo
    reservation road rude said same samstag sat saturday seat segunda september septiembre service setembro sexta
    she shop should sie since sir site so some somebody someone sonntag staff still store street sunday super
    support sábado team terça thank thanks that the their them then there they this thursday to today tomorrow too
    tuesday two um uma und unfortunately us very viernes wait was we website wednesday went what when where which
    while who why will wir with worst would y yes yesterday you your zu
    """
)
# After these a name is a place's.
PLACE = _words(
    """
    cabo east fort new north port porto puerto saint san sankt santa santo sao south st são west
    """
)
# After these, whatever has a capital letter is a name.
SELF = _phrases(
    """
    assinado | chamo-me | firmado | gezeichnet | i am called | ich heisse | ich heiße | me chamo | me llamo | mein
    name ist | meu nome é | mi nombre es | my name is | my name's | name is | name ist | name's | nombre es | nome é
    | signed by
    """
)
TITLES = _words(
    """
    dona doña dr dra frau herr herrn miss mr mrs ms mx prof senhor senhora señor señora señorita sr sra srta
    """
)
# Those of them that are nothing else.
SURE_TITLES = _words(
    """
    frau herr mr mrs ms senhor senhora señor señora sr sra srta
    """
)
# With a full stop or without.
SHORT_TITLES = _words(
    """
    dr dra mr mrs ms mx prof sr sra srta
    """
)
# After these, a word with a capital letter is a name unless it is a plain word or in capitals.
SPOKEN_TO = _phrases(
    """
    a menina | a vendedora | advisor | agent | agent called | agent named | agente | an agent called | aqui fala a |
    aqui fala o | aqui é a | aqui é o | asesor | asesora | ask for | asked for | assistant | atendente | atendida
    por | atendido por | attended by | attn | beraten von | bought by | captain | chat with | chat with a |
    colleague | contact was | courier | delivery driver | delivery guy | delivery man | dependienta | dependiente |
    der fahrer | die fahrerin | driver | el chico | el repartidor | employee | employee named | entregador | fahrer
    | falei com | falei com a | falei com o | gerente | gesprochen mit | guy named | hable con | hablé con | helped
    by | hier ist | kollege | kollegin | la chica | lady named | man named | manager | me atendió | mein bruder |
    mein mann | mein sohn | meine frau | meine schwester | meine tochter | meu filho | meu irmão | meu marido | meu
    pai | mi hermana | mi hermano | mi hija | mi hijo | mi madre | mi marido | mi mujer | mi padre | minha filha |
    minha irmã | minha mulher | minha mãe | mitarbeiter | mitarbeiterin | my brother | my daughter | my father | my
    friend | my husband | my mother | my neighbour | my sister | my son | my wife | nachbar | nachbarin | named |
    namens | neighbor | neighbour | ordered by | please tell | pregunte por | pregunten por | rep | rep called | rep
    named | repartidor | representative | representative named | served by | signed | someone called | speaking to |
    speaking with | spoke to | spoke with | sprach mit | supervisor | talked to | talked with | técnica | técnico |
    vecina | vecino | vendedor | vendedora | vizinha | vizinho | woman named
    """
)
# After these, a name is one also where it is a word.
TO = _words(
    """
    ask cara caro cheers danke dear estimada estimado gracias hallo hello hey hi hola kudos liebe lieber obrigada
    obrigado oi ola olá prezada prezado querida querido señorita tell thanks thx
    """
)
TO_PAIRS = _phrases(
    """
    aqui é a | aqui é o | ask for | dank an | gracias a | kudos to | obrigada a | obrigado a | props to | shout out
    | shoutout to | soy la | thank you | thanks to | this is
    """
)
# After these, two words with capitals are a name.
I_AM = _phrases(
    """
    i am | i'm | ich bin | sou a | sou o | soy
    """
)
# After these, what ends a text is a name.
SIGN_OFF = _words(
    """
    abraco abracos abraço abraços atenciosamente atentamente att cordialmente cumprimentos gruss grusse grussen lg
    mfg regards respectfully saludo saludos sincerely truly yours
    """
)
# After these, a name of the lists may be written small.
SMALL = r"(?:name is|name's|me llamo|nombre es|nome é|me chamo|chamo-me|ich hei(?:ß|ss)e|name ist)"
