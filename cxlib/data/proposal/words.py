"""What columns and questions are called, in the languages that exports come in."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Role: the names it goes by, in small plain letters. `+id`, `+time`, `+money` and `+seconds` stand for the endings
# below, `*_` for anything before and `_*` for anything behind; the rest is a regular expression.
_TABLE = r"""
customer_id: (customer|client|cliente|kunden?|klant|user|member|subscriber|buyer|shopper|guest|gast|patient)+id cliente
    (passenger|requester|consumer|panelist|usuario|utilisateur|nutzer|mitglieds?|socio|player|household|contact)+id
    (customer_unique|person|payer|traveller|visitor|cust)+id external_(data_)?reference customer kunde klant
order_id:
    (order|bestell|bestellungs?|auftrags?|pedido|commande|ordine|transaction|invoice|rechnungs?|factura|facture)+id
    (purchase|booking|basket|receipt|sale)+id order pedido
interaction_id: (ticket|call|chat|case|conversation|interaction|event|incident|session|message|contact|complaint)+id
    (vorgangs?|anruf|llamada|appel|visit)+id
case_id: (case|ticket|vorgangs?|incident|thread|conversation|session)+id
response_id: (response|respondent|submission|answer|antwort|respuesta|reponse|risposta|feedback|review|record)+id
invitation_id: (invitation|invite|einladungs?|invitacion|distribution|survey_link)+id
agent_id: (agent|assignee|advisor|operator|mitarbeiter|bearbeiter|agente|rep)+id agent assignee agente
partner_id: (partner|seller|vendor|supplier|courier|carrier|merchant|lieferanten?|dealer)+id partner carrier
account_id: (account|organi[sz]ation|company|firm|tenant)+id
source_id: (source|alias|external|legacy|crm|anonymous|device|secondary|old|other|alternate)+id
any_id: *_(id|ids|no|nr|num|number|nummer|numero|key|code|ref|reference|uuid|guid|kennung)
email: *_(e_?mail|correo|courriel|mail)_*
phone: *_(phone|telefon|telefono|telephone|mobile|handy|movil|fax)(_(number|nummer|no))?
person: *_(first|last|full|family|given|sur|middle|user|customer|client|contact|billing|shipping|to|from|buyer)_?name
    (vor|nach)name surname nombre apellidos? prenom nom(_de_famille)? cognome signature name alias initials
    recipient_* responder
address: *_(street|strasse|calle|address|adresse|direccion|indirizzo|zip|postcode|postal|plz|latitude|longitude)_*
    *_(lat|lng|lon) breitengrad_* langengrad_*
ip: *_ip(_(address|adresse))? ipaddress
time: *_(at|on|date|datetime|time|timestamp|ts|datum|fecha|data|zeit|zeitpunkt|zeitstempel|hora|heure|utc|when)
    *_(created|updated|started|ended|opened|closed|solved|sent|received|recorded|submitted|completed|delivered|joined)
    *_(day|tag|dia|jour|month|monat|mes|mois|desde|since|marca_temporal|horodateur|promised) *_(timestamp|datum|fecha)_*
    created_* *_date_*
responded_at: (recorded|submit|submitted|submission|responded|response|answered|completed|completion|survey|review)+time
    (end|ended|finish|finished)+time *_answer_timestamp date_modified timestamp zeitstempel marca_temporal horodateur
    (end|recorded)date
ordered_at: (order|ordered|purchase|purchased|invoice|sales?|transaction|booking|paid|processed)+time bestelldatum
    bestellt_am *_purchase_timestamp rechnungsdatum fecha_(de_)?(pedido|compra) date_(de_)?(commande|achat)
delivered_at: *_(delivered|geliefert|lieferdatum|entregado|fecha_entrega|livraison|delivery_date)_*
promised_at: *_(promised|estimated_delivery|expected_delivery|delivery_due|eta|liefertermin)_*
started_at: (start|started|starts|begin|began|open|opened|initiated|received|call|chat|event|contact|session|visit)+time
    (interaction|ticket|case|call_start|chat_start)+time startdate *_created created_* erstellt(_am)? beginn inicio
    debut
    fecha_(de_)?(inicio|apertura|creacion) eroffnet(_am)?
ended_at: (end|ended|finish|finished|close|closed|solved|resolved|resolution|completed)+time
    (call|chat|session)_end(ed)?_*
    enddate ende fin cierre fecha_(de_)?(fin|cierre) geschlossen(_am)? gelost_am
sent_at: (sent|send|invited|invitation|email_sent|survey_sent|distributed|delivered)+time versendet(_am)? versandt(_am)?
    enviado_* envoye_* fecha_(de_)?envio
started_on: (start|started|subscribed|subscription_start|activation|activated|contract_start|since|begin|sign_?up)+time
    (current_period_start|created)+time vertragsbeginn beginn (fecha_(de_)?)?(alta|inicio) debut
ended_on: (end|ended|cancel|cancell?ed|cancellation|churned|terminated|termination|expired|expiry|contract_end)+time
    unsubscribed+time (vertrags)?ende kundigung(sdatum)? gekundigt(_am)? (fecha_(de_)?)?(baja|cancelacion|fin)
joined_on: (join|joined|sign_?up|signed_up|register|registered|registration|enrolled|enrollment|created|creation)+time
    (member_since|customer_since|first_order)+time kunde_seit registriert(_am)? fecha_(de_)?alta
valid_from: (valid|effective)_(from|since) gultig_ab
exposed_at: (exposed|exposure|assign|assigned|assignment|bucketed|enrolled|treated|first_seen|randomi[sz]ed)+time
    timestamp
month: month monat mes mois mese period periode date datum fecha month_start(_date)? day week
updated: (last_)?(updated|modified|changed)+time lastmodified(date)? updatedat geandert(_am)?
synced: *_(synced|loaded|ingested|extracted|exported|batched)_* fivetran_* airbyte_* sdc_*
amount: (total|order|gross|net|grand|sales?|paid|payment)_(amount|total|value|revenue|price)_*
    *_(\w*betrag|umsatz|importe)
    (amount|total|revenue|value|sum|turnover|sales|price|summe|preis|monto|montant|prix|importo|valor|spend)+money
    dollar_value
spend: *_(spend|costs?|amount|kosten|ausgaben|gasto|coste|cout|budget)+money
units: (number_of_|num_|no_of_|total_)?(units?|quantity|qty|items|pieces|menge|anzahl|stuck|cantidad|unidades|quantite)
    number_of_cds lineitem_quantity item_count
cost: *_(cogs|cost|kosten|coste|cout)+money
discount: *_(discount|rabatt|descuento|remise|sconto|desconto)+money
monthly_amount: *_(mrr|monthly_(amount|fee|charges?|price|revenue|payment)|plan_amount|monatsbeitrag|cuota(_mensual)?)
wait_seconds: *_(wait|waiting|hold|queue|wartezeit|espera|attente)+seconds
handle_seconds: *_(handle|handling|talk|duration|call_length|dauer|bearbeitungszeit|duracion|duree)+seconds
load_ms: *_(load|page_load|latency)(_time)?_(ms|millis|milliseconds)
instrument: (survey_)?(instrument|metric|kpi) (survey|score|question)_type
score:
    *_(score|rating|stars|sterne|bewertung|puntuacion|calificacion|nota|note|points|grade|csat|nps|ces)(_(value|score))?
comment: *_(comments?|kommentar|comentarios?|commentaire|commento|feedback|verbatim|freitext|text|message|remarks?)_*
    *_(free_text|open_ended|opinion|anmerkung|body)_*
transcript: transcript transkript conversation_text body message description text chat_log transcripcion
channel: *_(channel|kanal|canal|canale|medium|platform|device)
event: *_(touch_?point|event|event_name|event_type|page|step|screen)
language: *_(language|lang|locale|sprache|idioma|langue|lingua)
reason: *_(negative)?(reason|grund|motivo|motif|topic|disposition)
sentiment: *_(sentiment|stimmung|sentimiento)
resolved: *_(resolved|solved|first_contact_resolution|fcr|gelost|resuelto|resolu)
transferred: *_(transferred|escalated|transfer|weitergeleitet|transferido)
region: *_(region|state|province|country|bundesland|land|pais|provincia|pays|area|territory|market)
plan: *_(plan|tariff|tarif|tarifa|subscription_type|membership|contract|tier|abo|paket|plan_name)
end_reason: *_(cancel|cancellation|churn|end|termination)_?(reason|feedback) kundigungsgrund
acquisition_source: *_(acquisition|utm|lead|signup|first_touch)_?(source|channel) acquisition
referred_by: *_(referred_by|referrer_id|referral_id|empfohlen_von)
consent: *_(consent|opt_in|gdpr|dsgvo|einwilligung|consentimiento|accepts_marketing)_*
source: *_(source|campaign|channel|medium|network|platform|kampagne|quelle|kanal|campana|fuente|canal)(_name)?
variant: *_(variant|variation|arm|treatment|treated|bucket|variante|gruppe|condition|version|group)
experiment: *_(experiment|test|ab_test)(_(name|id))? flag
currency: *_(currency|wahrung|moneda|devise|valuta|moeda)(_code)?
"""
_ID = "(id|ids|no|nr|num|number|nummer|numero|key|code|ref|reference|uuid|guid)"
_ENDINGS = {
    "+time": "(_(date|at|on|time|timestamp|datetime|day|utc|start|started|opened))*",
    "+money": "(_(total|amount|value|price|paid|gross|net|eur|usd|gbp|brl))*",
    "+seconds": "(_(time|duration|in|seconds|secs?|s|minutes|mins?|zeit|sekunden|minuten))*",
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=1)
def _roles() -> dict[str, re.Pattern[str]]:
    """Return role -> the shape of its names."""
    found = {}
    for line in re.sub(r"\n +", " ", _TABLE.strip()).splitlines():
        role, _, words = line.partition(": ")
        found[role] = re.compile("|".join(_shape(word) for word in words.split()))
    return found


def _shape(word: str) -> str:
    """Return the regular expression of one word of the table."""
    if word.endswith("+id"):
        entity = word.removesuffix("+id")
        return rf"{entity}_?{_ID}|({_ID}|n)_(de_|del_|di_|du_|da_)?{entity}"
    for ending, shape in _ENDINGS.items():
        word = word.replace(ending, shape)
    return re.sub(r"_\*$", "(_.*)?", re.sub(r"^\*_", "(.*_)?", word))


def folded(text: str) -> str:
    """Return a text in small letters without accents; letters of other scripts stay."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).lower()


@lru_cache(maxsize=10_000)
def normal(name: str) -> str:
    """Return a name in small plain letters, its words joined by `_`: `IPAddress` and `ip address` are one."""
    return re.sub(r"[^a-z0-9]+", "_", folded(_CAMEL.sub("_", name.strip()))).strip("_")


@lru_cache(maxsize=100_000)
def means(word: str, role: str) -> bool:
    """Say whether a normal name speaks of a role."""
    return bool(_roles()[role].fullmatch(word))
