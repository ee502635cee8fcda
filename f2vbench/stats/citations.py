"""Names of the statistical methods and the publications that define them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A statistical method.

    Attributes:
        name: As it appears in a sentence.
        citation: Publication that defines the method.
    """

    name: str
    citation: str


NORMAL_INTERVAL = Method("mean ± 1.96 standard errors", "as in the Fundus2Video papers; accurate for large n only")
STUDENT_INTERVAL = Method("Student's interval of the mean", "Student, Biometrika 6:1–25, 1908")
SCALED_STUDENT_INTERVAL = Method(
    "Student's interval of the mean, within the range of the metric",
    "Student, Biometrika 6:1–25, 1908; delta method on the logit or log scale",
)
PAIRED_T = Method("paired t-test", "Student, Biometrika 6:1–25, 1908")
WELCH_T = Method("Welch's t-test", "Welch, Biometrika 34:28–35, 1947")
PREDICTIONS_T = Method(
    "t-test on predictions", "as in Figure 4 of the Fundus2Video foundation-model paper; no test of a metric"
)
CORRECTED_T = Method("corrected resampled t-test", "Nadeau & Bengio, Machine Learning 52:239–281, 2003")
SIGNED_RANK = Method(
    "Wilcoxon's signed-rank test", "Wilcoxon, Biometrics Bulletin 1:80–83, 1945; ties: Streitberg & Röhmel, 1986"
)
SIGN_FLIP = Method("sign-flip permutation test", "Fisher, The Design of Experiments, 1935; interval: Hartigan, 1969")
PAIRED_PERMUTATION = Method(
    "paired permutation test by patient", "Bandos, Rockette & Gur, Statistics in Medicine 24:2873–2893, 2005"
)
DELONG = Method(
    "DeLong's method", "DeLong et al., Biometrics 44:837–845, 1988; Sun & Xu, IEEE Signal Processing Letters 21, 2014"
)
DELONG_CLUSTERED = Method("DeLong's method, clustered by patient", "Obuchowski, Biometrics 53:567–578, 1997")
DELONG_SEEDS = Method(
    "DeLong's method for means over seeds, clustered by patient",
    "DeLong et al., Biometrics 44:837–845, 1988; Obuchowski, Biometrics 53:567–578, 1997",
)
BOOTSTRAP_PERCENTILE = Method(
    "percentile bootstrap over patients", "Efron & Tibshirani, An Introduction to the Bootstrap, ch. 13, 1993"
)
BOOTSTRAP_BCA = Method(
    "BCa bootstrap over patients", "Efron, Journal of the American Statistical Association 82:171–185, 1987"
)
CROSSED = Method(
    "crossed analysis of patients and seeds",
    "Obuchowski & Rockette, Communications in Statistics 24:285–308, 1995; Hillis, Statistics in Medicine 26:596–619, "
    "2007; overlapping splits: Nadeau & Bengio, Machine Learning 52:239–281, 2003",
)
MAX_T = Method(
    "step-down max-T",
    "Westfall & Young, Resampling-Based Multiple Testing, 1993; Hothorn, Bretz & Westfall, Biometrical Journal "
    "50:346–363, 2008",
)
GEE = Method(
    "generalised estimating equations, clustered by patient",
    "Liang & Zeger, Biometrika 73:13–22, 1986; small samples: Mancl & DeRouen, Biometrics 57:126–134, 2001",
)
TOST = Method("two one-sided tests", "Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15:657–680, 1987")
NON_INFERIORITY = Method("one-sided test of non-inferiority", "Piaggio et al. (CONSORT), JAMA 308:2594–2604, 2012")
COHEN_D_Z = Method("Cohen's d_z", "Cohen, Statistical Power Analysis, 1988; interval by the noncentral t")
HEDGES_G = Method("Hedges' g", "Hedges, Journal of Educational Statistics 6:107–128, 1981")
HEDGES_G_Z = Method(
    "Hedges' g_z", "bias-corrected Cohen's d_z; correction: Hedges, Journal of Educational Statistics 6:107–128, 1981"
)
CLIFF_DELTA = Method("Cliff's delta", "Cliff, Psychological Bulletin 114:494–509, 1993")
HOLM = Method("Holm", "Holm, Scandinavian Journal of Statistics 6:65–70, 1979")
BENJAMINI_HOCHBERG = Method(
    "Benjamini–Hochberg", "Benjamini & Hochberg, Journal of the Royal Statistical Society B 57:289–300, 1995"
)
FRIEDMAN = Method("Friedman's test", "Friedman, JASA 32:675–701, 1937; F: Iman & Davenport, 1980")
NEMENYI = Method("Nemenyi's test", "Nemenyi, 1963; Demšar, Journal of Machine Learning Research 7:1–30, 2006")
WILCOXON_HOLM = Method(
    "Wilcoxon's signed-rank tests, Holm-adjusted",
    "Benavoli, Corani & Mangili, Journal of Machine Learning Research 17(5), 2016",
)
KAPPA = Method("Cohen's kappa", "Cohen, Educational and Psychological Measurement 20:37–46, 1960")
WEIGHTED_KAPPA = Method(
    "Cohen's weighted kappa",
    "Cohen, Psychological Bulletin 70:213–220, 1968; standard errors: Fleiss, Cohen & Everitt, Psychological Bulletin "
    "72:323–327, 1969",
)
INTRACLASS = Method(
    "intraclass correlation, two-way random effects, absolute agreement",
    "Shrout & Fleiss, Psychological Bulletin 86:420–428, 1979; intervals: McGraw & Wong, Psychological Methods "
    "1:30–46, 1996",
)
BLAND_ALTMAN = Method(
    "Bland–Altman limits of agreement", "Bland & Altman, Statistical Methods in Medical Research 8:135–160, 1999"
)
SIGN_TEST = Method("sign test", "Dixon & Mood, Journal of the American Statistical Association 41:557–566, 1946")
CLOPPER_PEARSON = Method("exact binomial test and interval", "Clopper & Pearson, Biometrika 26:404–413, 1934")
